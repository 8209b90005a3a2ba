-- Rows that a step could not do, by error; transient ones are tried again by the next build
SELECT step, error, transient, count(*) AS rows, min(row_id) AS example
FROM errors
GROUP BY ALL
ORDER BY rows DESC, step, error
