-- Loss, learning rate and speed over the course of each training, in at most twenty stretches of its steps
WITH cut AS (
    SELECT *, ceil(20.0 * step / max(step) OVER (PARTITION BY model)) AS stretch FROM train_steps
)
SELECT model, max(step) AS until_step, round(max(epoch), 2) AS epoch, round(avg(loss), 4) AS loss,
       last(lr ORDER BY step) AS lr, round(max(grad_norm), 3) AS largest_norm,
       round(sum(tokens) / sum(seconds)) AS tokens_per_s
FROM cut
GROUP BY model, stretch
ORDER BY model, until_step
