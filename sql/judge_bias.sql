-- How each judge errs: flips with the order of answers, first places, longer answers, agreement with labels and kappa
WITH told AS (
  SELECT *, judge_verdict IS NOT NULL AS judged, judge_label IS NOT NULL AS labelled,
         if(judged AND labelled, judge_verdict, NULL) AS said, if(judged AND labelled, judge_label, NULL) AS meant,
         (judge_first_order = 'chosen')::INT + (judge_second_order = 'rejected')::INT AS for_the_first,
         (judge_first_order != 'tie')::INT + (judge_second_order != 'tie')::INT AS decided
  FROM judgements WHERE judge_model IS NOT NULL
),
figures AS (
  SELECT step, judge_model, judge_protocol, count(*) AS pairs, count(judge_verdict) AS judged,
         avg(judge_flipped::INT) AS flip_rate, sum(for_the_first) / nullif(sum(decided), 0) AS first_place,
         avg((judge_verdict = judge_longer)::INT) FILTER ('tie' NOT IN (judge_verdict, judge_longer)) AS longer_wins,
         count(judge_label) AS labelled,
         avg(coalesce(judge_verdict = judge_label, false)::INT) FILTER (labelled) AS agreement,
         avg((said = meant)::INT) AS same, avg((said = 'chosen')::INT) * avg((meant = 'chosen')::INT)
         + avg((said = 'rejected')::INT) * avg((meant = 'rejected')::INT)
         + avg((said = 'tie')::INT) * avg((meant = 'tie')::INT) AS by_chance
  FROM told GROUP BY step, judge_model, judge_protocol
)
SELECT step, judge_model, judge_protocol, pairs, judged, round(flip_rate, 4) AS flip_rate,
       round(first_place, 4) AS first_place, round(longer_wins, 4) AS longer_wins, labelled,
       round(agreement, 4) AS agreement, round((same - by_chance) / nullif(1 - by_chance, 0), 4) AS kappa
FROM figures
ORDER BY step, judge_model, judge_protocol
