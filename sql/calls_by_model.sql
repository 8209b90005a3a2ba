-- Model calls by model and kind over all specs of this home: how many, how fast, how many tokens
SELECT
  model,
  kind,
  count(*) FILTER (error IS NULL) AS answered,
  count(*) FILTER (error IS NOT NULL) AS failed,
  sum(tokens_in)::BIGINT AS tokens_in,
  sum(tokens_out)::BIGINT AS tokens_out,
  round(median(latency_s), 3) AS median_s,
  round(quantile_cont(latency_s, 0.95), 3) AS p95_s
FROM calls
GROUP BY ALL
ORDER BY answered DESC, model, kind
