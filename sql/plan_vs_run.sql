-- What was planned of calls and tokens, and what the last build sent, by step: whether the truth lay within the plan
SELECT
  step,
  planned_calls_low,
  planned_calls_high,
  calls_sent,
  planned_tokens_in_low,
  planned_tokens_in_high,
  tokens_in,
  planned_tokens_out_low,
  planned_tokens_out_high,
  tokens_out,
  calls_sent BETWEEN planned_calls_low AND coalesce(planned_calls_high, calls_sent)
  AND tokens_in BETWEEN planned_tokens_in_low AND coalesce(planned_tokens_in_high, tokens_in)
  AND tokens_out BETWEEN planned_tokens_out_low AND coalesce(planned_tokens_out_high, tokens_out) AS within
FROM builds
WHERE spec = current_schema() AND (calls_sent > 0 OR planned_calls_high > 0 OR planned_calls_high IS NULL)
QUALIFY build = max(build) OVER ()
ORDER BY step
