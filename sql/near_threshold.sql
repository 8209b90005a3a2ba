-- Near-duplicates that were dropped by the narrowest margin: look here before moving the threshold
SELECT table_name, row_id, nn_id, round(nn_sim::DOUBLE, 4) AS similarity, drop_reason
FROM drops
WHERE nn_sim IS NOT NULL
ORDER BY nn_sim, row_id
LIMIT 50
