-- Rows that went into each table and came out of it, and what became of the others, in the order of the build
WITH steps AS (
  SELECT *, row_number() OVER () AS position FROM builds WHERE spec = current_schema()
),
plan AS (
  SELECT step, position FROM steps WHERE build = (SELECT max(build) FROM steps)
),
made AS (
  SELECT * FROM steps WHERE fingerprint IS NOT NULL
  QUALIFY row_number() OVER (PARTITION BY step ORDER BY build DESC) = 1
),
reasons AS (
  SELECT table_name, drop_reason AS reason, count(*) AS n FROM drops GROUP BY ALL
  UNION ALL
  SELECT table_name, 'rejected', count(*) FROM rejects GROUP BY ALL
  UNION ALL
  SELECT table_name, 'failed', count(*) FROM errors WHERE step = table_name GROUP BY ALL
),
lost AS (
  SELECT table_name, string_agg(n || ' ' || reason, ', ' ORDER BY n DESC, reason) AS lost FROM reasons GROUP BY ALL
)
SELECT made.table_name, made.label AS made_by, made.rows_in, coalesce(made.selected, made.rows) AS rows_out, lost.lost
FROM plan JOIN made USING (step) LEFT JOIN lost USING (table_name)
WHERE made.step = made.table_name
ORDER BY plan.position
