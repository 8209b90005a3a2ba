"""What DuckDB's parser and binder say of a query, without running it."""

import duckdb
import pyarrow as pa
import pytest

from engine.plan.sql import columns_read, filters, keeps_order, multiplies, result_schema, unbound
from engine.schema import MESSAGES

T = pa.schema([("row_id", pa.string()), ("a", pa.int64()), ("b", pa.float64()), ("m", MESSAGES)])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT a, b + 1 AS c FROM t WHERE length(x) > 2", {"a", "b", "x"}),
        ("SELECT t.a FROM t JOIN u USING (row_id)", {"t", "a", "row_id"}),
        ("SELECT m[1].role FROM t", {"m"}),
        ("SELECT t.m FROM t", {"t", "m"}),
        ("SELECT a FROM t WHERE A IN (SELECT q FROM u)", {"a", "q"}),
        ("SELECT * FROM t", None),
        ("FROM t", None),
        ("SELECT * EXCLUDE (a) FROM t", None),
        ("SELECT COLUMNS('a.*') FROM t", None),
        ("SELECT a FROM t NATURAL JOIN u", None),
        ("SELECT md5(t::VARCHAR) FROM t", None),
        ("SELECT a FROM (PIVOT t ON a USING sum(b))", None),
    ],
)
def test_columns_read(query, names):
    found = columns_read(query)
    assert found == (None if names is None else frozenset(names))


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("SELECT a FROM t", True),
        ("SELECT a FROM t WHERE b > 1 LIMIT 3", True),
        ("SELECT a, sum(b) FROM t GROUP BY a", False),
        ("SELECT a, sum(b) FROM t GROUP BY a ORDER BY a", True),
        ("SELECT DISTINCT a FROM t", False),
        ("SELECT a FROM t JOIN u USING (row_id)", False),
        ("SELECT a FROM t UNION ALL SELECT a FROM u", False),
        ("WITH c AS (SELECT a FROM t GROUP BY a) SELECT a FROM c", False),
    ],
)
def test_keeps_order(query, kept):
    assert keeps_order(query) is kept


def test_result_schema_binds_without_rows():
    schema = result_schema("SELECT t.a, u.b AS c, t.m FROM t JOIN u USING (row_id)", {"t": T, "u": T})
    assert schema.names == ["a", "c", "m"]
    assert schema.field("a").type == pa.int64()
    with pytest.raises(duckdb.Error, match="nothing"):
        result_schema("SELECT nothing FROM t", {"t": T})


def test_unbound_expressions_are_named_each_with_its_reason():
    other = pa.schema([("a", pa.string())])
    assert unbound([("a * b > 2", T), ("length(m)", T), ("upper(a)", other), ("1 + 1", T)]) == {}
    found = unbound([("a + 1", T), ("nothing + 1", T), ("a || ", T), ("b + 1", other), ("m[1].role", T)])
    assert set(found) == {("nothing + 1", T), ("a || ", T), ("b + 1", other)}
    assert "nothing" in found["nothing + 1", T]


@pytest.mark.parametrize(
    ("query", "picks", "more"),
    [
        ("SELECT *, length(a) AS n FROM t WHERE a > 2 ORDER BY a", True, False),
        ("SELECT * FROM t LIMIT 5", False, False),
        ("SELECT count(*) AS n FROM t", False, False),
        ("SELECT a, max(b) FROM t GROUP BY a", False, False),
        ("SELECT a FROM t UNION ALL SELECT a FROM u", False, False),
        ("SELECT a FROM t UNION ALL SELECT a FROM t", False, True),
        ("SELECT t.a FROM t JOIN u USING (row_id)", False, True),
        ("SELECT unnest(m) FROM t", False, True),
        ("SELECT a, b, count(*) FROM t GROUP BY CUBE (a, b)", False, True),
        ("SELECT * FROM (VALUES (1), (2)) AS v(a)", False, True),
        ("SELECT 1 AS a UNION ALL SELECT 2", False, True),
        ("SELECT 1 AS a", False, False),
    ],
)
def test_how_many_rows_a_query_may_give(query, picks, more):
    assert (filters(query), multiplies(query)) == (picks, more)
