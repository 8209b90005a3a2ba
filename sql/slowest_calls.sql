-- The model calls that took longest, waiting and retries included
SELECT call_id, node, row_id, model, kind, round(latency_s, 3) AS seconds, attempts, tokens_in, tokens_out, error, called_at
FROM calls
WHERE spec = current_schema()
ORDER BY latency_s DESC, seq
LIMIT 50
