-- The time that each step of each build took, the latest build first; cached steps took none
SELECT build, step, label, state, rows, round(seconds, 3) AS seconds, calls_sent, tokens_out
FROM builds
WHERE spec = current_schema() AND started IS NOT NULL
ORDER BY build DESC, seconds DESC, step
