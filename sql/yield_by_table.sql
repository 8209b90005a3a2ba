-- What each table gave for its rows, calls and tokens over all builds: rows out of rows in, calls and tokens a row
WITH made AS (
  SELECT * FROM builds
  WHERE spec = current_schema() AND step = table_name AND fingerprint IS NOT NULL
  QUALIFY row_number() OVER (PARTITION BY step ORDER BY build DESC) = 1
),
asked AS (
  SELECT node AS step, count(*) AS calls, sum(tokens_in + tokens_out)::BIGINT AS tokens FROM calls
  WHERE spec = current_schema() AND error IS NULL
  GROUP BY ALL
)
SELECT
  table_name,
  label AS made_by,
  rows_in,
  coalesce(selected, rows) AS rows_out,
  round(rows_out / nullif(rows_in, 0), 4) AS rows_per_row,
  round(calls / nullif(rows_out, 0), 2) AS calls_per_row,
  round(tokens / nullif(rows_out, 0), 1) AS tokens_per_row
FROM made LEFT JOIN asked USING (step)
ORDER BY table_name
