-- Each reward's mean over the first and the last tenth of its training's steps, and how far it has come
WITH told AS (
    SELECT model, step, name[8:] AS reward, value, max(step) OVER (PARTITION BY model) AS steps,
           greatest(steps // 10, 1) AS tenth
    FROM (UNPIVOT (SELECT model, step, COLUMNS('^(loss|reward/.*)$') FROM train_steps)
          ON COLUMNS(* EXCLUDE (model, step)) INTO NAME name VALUE value)
    WHERE name != 'loss'
)
SELECT model, reward, max(steps) AS steps,
       round(avg(value) FILTER (step <= tenth), 4) AS at_start,
       round(avg(value) FILTER (step > steps - tenth), 4) AS at_end,
       round(at_end - at_start, 4) AS gained
FROM told
GROUP BY model, reward
ORDER BY model, reward
