-- Failed model calls by model and error over all specs of this home, and when they occurred
SELECT model, error, count(*) AS calls, sum(attempts)::BIGINT AS attempts, min("at") AS first, max("at") AS last
FROM calls
WHERE error IS NOT NULL
GROUP BY ALL
ORDER BY calls DESC, model, error
