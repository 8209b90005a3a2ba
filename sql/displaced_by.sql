-- The kept rows that displaced the most others, and how alike they were
SELECT
  table_name,
  nn_id AS kept_row,
  count(*) AS displaced,
  round(min(nn_sim)::DOUBLE, 4) AS least_similar,
  round(max(nn_sim)::DOUBLE, 4) AS most_similar
FROM drops
WHERE nn_id IS NOT NULL
GROUP BY ALL
ORDER BY displaced DESC, table_name, kept_row
LIMIT 50
