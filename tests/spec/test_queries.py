"""What SQL text reads, and what it may not do."""

import pytest

from engine.spec.queries import check_expressions, read_queries
from engine.spec.sql_walk import Reading


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("SELECT * FROM pool", {"pool": 14}),
        ("FROM Pool", {"pool": 5}),
        ("SELECT a FROM t, u JOIN v USING (x) WHERE y IN (SELECT z FROM w)", {"t": 14, "u": 17, "v": 24, "w": 62}),
        ('SELECT é FROM "t" UNION ALL FROM u', {"t": 14, "u": 33}),
        ("WITH a AS (SELECT * FROM t), b AS (FROM a) SELECT * FROM b, u", {"t": 25, "u": 60}),
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", {"t": 25}),  # the inner t is the table
        ("WITH a AS (FROM b), b AS (FROM t) SELECT * FROM a, b", {"b": 16, "t": 31}),  # b isn't defined yet in a
        ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT * FROM r", {}),
        ("SELECT (WITH a AS (SELECT 1) SELECT * FROM a) FROM a", {"a": 51}),
        ("SELECT * FROM range(3), generate_series(1, 2), unnest([1])", {}),
        ("SELECT list_filter(a, x -> x > 1) FROM t", {"t": 39}),
        ("SUMMARIZE t", {"t": None}),
        ("SELECT max(a) OVER (PARTITION BY b) FROM t", {"t": 41}),
        ("VALUES (1)", {}),
    ],
)
def test_tables(query, tables):
    (reading,) = read_queries([query])
    assert reading.faults == []
    assert reading.tables == tables


@pytest.mark.parametrize(
    "expression",
    [
        "n_chars > 10",
        "messages[1].content = 'é' AND label",
        "CASE WHEN a THEN b ELSE c END",
        "list_filter(a, x -> x > b)",
        "list_transform(a, lambda y, z: y + z * c)",
        "list_max([z * 2 for z in a if z > b]) > 1",
        "info -> '$.language' = 'en'",
        "regexp_matches(a, 'x') OR a IN ('y', 'z')",
        "a > 1 -- why",
        "1",
    ],
)
def test_expressions_over_one_row(expression):
    (reading,) = check_expressions([expression])
    assert reading == Reading()


@pytest.mark.parametrize(
    "call",
    [
        "read_csv('x.csv')",
        "read_parquet('x.parquet')",
        "read_json('x.json')",
        "read_text('x')",
        "read_blob('x')",
        "glob('*')",
        "parquet_metadata('x')",
        "duckdb_settings()",
        "duckdb_secrets()",
        "query('SELECT 1')",
        "query_table('t')",
        "json_execute_serialized_sql('x')",
        "getenv('HOME')",
        "current_setting('x')",
        "getvariable('x')",
        "random()",
        "uuid()",
        "gen_random_uuid()",
        "now()",
        "today()",
        "nextval('s')",
        "ago(x)",
        "READ_CSV('x.csv')",
    ],
)
def test_what_reaches_beyond_the_tables_is_refused(call):
    readings = [*read_queries([f"SELECT * FROM {call}", f"SELECT {call} FROM t"]), *check_expressions([f"{call} = 1"])]
    assert [[fault.offset for fault in reading.faults] for reading in readings] == [[14], [7], [0]]
    assert all("is out of reach" in reading.faults[0].message for reading in readings)


def test_many_texts_keep_their_order():
    queries = [f"SELECT * FROM t{i}" if i % 3 else "SELEC" for i in range(200)]
    for i, reading in enumerate(read_queries(queries)):
        assert list(reading.tables) == ([f"t{i}"] if i % 3 else [])
        assert bool(reading.faults) == (i % 3 == 0)


def test_offsets_count_characters():
    (reading,) = read_queries(["SELECT 'äöü' FROM t WHERE )"])
    assert [fault.offset for fault in reading.faults] == [26]
