"""What SQL text says, by DuckDB's own parser: the tables that a query reads, and what SQL in a spec may not do.

Nothing is bound or run here: whether a table has a column, and of which type, is for the plan to find out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

from engine.spec.sql_walk import CLOCK, TABLE_FUNCTIONS, ExpressionVisitor, Fault, Functions, QueryVisitor, Reading

if TYPE_CHECKING:
    import duckdb

# Macros that the catalog calls stable although they read the clock or are aggregates, and a function of DuckDB's shell.
_UNSTABLE = frozenset({"ago", "current_localtime", "current_localtimestamp", "getenv"})
_AGGREGATES = frozenset({"geomean", "geometric_mean", "wavg", "weighted_avg"})

_CATALOG = """
    SELECT function_name,
           bool_or(function_type = 'aggregate'),
           bool_and(function_type IN ('table', 'table_macro', 'pragma')
                    OR coalesce(stability, 'CONSISTENT') <> 'CONSISTENT')
    FROM duckdb_functions() GROUP BY function_name
"""

_BEFORE, _AFTER = "SELECT (", "\n)"  # what stands around an expression while it is parsed


def read_queries(texts: Sequence[str]) -> list[Reading]:
    """The tables that each query reads, and its faults; what a query itself defines by WITH is none of its tables."""
    return [_query(text, document) for text, document in zip(texts, parse(texts), strict=True)]


def check_expressions(texts: Sequence[str]) -> list[Reading]:
    """The faults of each expression over the columns of one row; it reads no tables."""
    documents = parse([f"{_BEFORE}{text}{_AFTER}" for text in texts])
    return [_expression(text, document) for text, document in zip(texts, documents, strict=True)]


def _query(text: str, document: dict[str, Any]) -> Reading:
    visitor = QueryVisitor(text, 0, _functions())
    if document["error"]:
        visitor.refuse_syntax(document, "only a SELECT may stand here")
    elif len(document["statements"]) != 1:
        visitor.reading.faults.append(Fault("exactly one SELECT must stand here"))
    else:
        visitor.visit(document["statements"][0])
    return visitor.reading


def _expression(text: str, document: dict[str, Any]) -> Reading:
    visitor = ExpressionVisitor(text, len(_BEFORE), _functions())
    if document["error"]:
        visitor.refuse_syntax(document, "not a SQL expression")
    elif not text.strip() or not _is_expression(document["statements"]):
        visitor.reading.faults.append(Fault("exactly one SQL expression must stand here"))
    else:
        visitor.visit(document["statements"][0]["node"]["select_list"])
    return visitor.reading


def _is_expression(statements: list[dict[str, Any]]) -> bool:
    """Whether what was put between parentheses stayed between them: `a), (b` and `a) FROM t WHERE (b` do not."""
    node = statements[0]["node"]
    clauses = ("where_clause", "having", "qualify", "sample", "group_expressions", "modifiers")
    return (
        len(statements) == 1
        and node["type"] == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and not any(node[clause] for clause in clauses)
    )


@cache
def _functions() -> Functions:
    """What DuckDB's catalog says of its functions: those not fit for a user's SQL, and those over many rows."""
    rows = _connection().execute(_CATALOG).fetchall()
    refused = {name for name, _, unfit in rows if unfit} | CLOCK | _UNSTABLE
    aggregates = {name for name, aggregate, _ in rows if aggregate} | _AGGREGATES
    return Functions(frozenset(refused - TABLE_FUNCTIONS), frozenset(aggregates))


def parse(texts: Sequence[str]) -> list[dict[str, Any]]:
    """DuckDB's serialised form of each text; all in one call, since a call costs more than parsing a query."""
    rows = _connection().execute("SELECT json_serialize_sql(q) FROM (SELECT unnest($1) AS q)", [list(texts)]).fetchall()
    return [orjson.loads(row[0]) for row in rows]


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb  # 0.3 s, which a command that reads no SQL shouldn't pay

    return duckdb.connect(":memory:", config={"threads": "1", "enable_external_access": "false"})
