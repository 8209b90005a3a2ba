-- Data tests that failed, the errors before the warnings
SELECT table_name, test, severity, failures, detail
FROM tests
WHERE NOT passed
ORDER BY severity, table_name, test
