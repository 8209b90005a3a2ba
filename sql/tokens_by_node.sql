-- Model calls and tokens by the step that asked first; repeated askings cost nothing and are not counted
SELECT
  node,
  model,
  count(*) AS calls,
  sum(tokens_in)::BIGINT AS tokens_in,
  sum(tokens_out)::BIGINT AS tokens_out,
  round(avg(tokens_in), 1) AS mean_in,
  round(avg(tokens_out), 1) AS mean_out
FROM calls
WHERE spec = current_schema() AND error IS NULL
GROUP BY ALL
ORDER BY tokens_out DESC NULLS LAST, node, model
