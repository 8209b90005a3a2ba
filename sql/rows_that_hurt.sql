-- Rows with the highest loss in the last epoch of each training; JOIN their table USING (row_id) to read them
SELECT m.model, m.row_id, round(m.loss, 3) AS loss, m.n_tokens, m.step,
       (SELECT string_agg(DISTINCT l.table_name, ', ' ORDER BY l.table_name)
        FROM lineage AS l WHERE l.row_id = m.row_id) AS found_in
FROM train_metrics AS m
WHERE m.loss IS NOT NULL
QUALIFY m.epoch = max(m.epoch) OVER (PARTITION BY m.model)
ORDER BY m.loss DESC, m.model, m.row_id
LIMIT 50
