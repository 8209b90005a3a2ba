-- How many rows each selection dropped for which reason, and their share of all that it dropped
WITH reasons AS (
  SELECT table_name, drop_reason, count(*) AS rows FROM drops GROUP BY ALL
)
SELECT table_name, drop_reason, rows, round(rows / sum(rows) OVER (PARTITION BY table_name), 4) AS share
FROM reasons
ORDER BY table_name, rows DESC, drop_reason
