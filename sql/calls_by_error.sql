-- Failed model calls by model and error over all specs of this home, and when they occurred
SELECT model, error, count(*) AS calls, sum(attempts)::BIGINT AS attempts, min(called_at) AS first, max(called_at) AS last
FROM calls
WHERE error IS NOT NULL
GROUP BY ALL
ORDER BY calls DESC, model, error
