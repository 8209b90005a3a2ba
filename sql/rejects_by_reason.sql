-- Source records that could not be read, by reason, with the first place of each
SELECT table_name, reason, field, count(*) AS records, arg_min(file || ':' || record, (file, record)) AS first_place
FROM rejects
GROUP BY ALL
ORDER BY records DESC, table_name, reason, field
