"""What a `sql:` table or an expression gives and reads, found out by DuckDB's own parser and binder on empty tables.

Nothing is executed and no file is touched. A call into DuckDB costs more than what it does here, so texts are parsed
and expressions are bound many at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from engine.schema import digest, empty_table, sql_schema
from engine.spec.queries import parse

MULTIPLYING = frozenset({"unnest", "unlist", "generate_series", "range", "regexp_split_to_table"})
"""Functions that make several rows of one."""

_documents: dict[str, dict[str, Any]] = {}


def result_schema(query: str, tables: Mapping[str, pa.Schema]) -> pa.Schema:
    """The columns that a query gives.

    Raises:
        duckdb.Error: the query does not bind: an unknown column, a wrong type.
    """
    given = ", ".join(f'"{name}" AS (FROM {_empty_table(schema)})' for name, schema in tables.items())
    whole = f"WITH {given} SELECT * FROM ({query}\n) LIMIT 0" if given else f"SELECT * FROM ({query}\n) LIMIT 0"
    schema: pa.Schema = _connection().sql(whole).to_arrow_reader(1).schema
    return schema


def unbound(asked: Iterable[tuple[str, pa.Schema]]) -> dict[tuple[str, pa.Schema], str]:
    """The expressions that can't be computed over the columns of their table, with DuckDB's reason for each.

    Columns of one name and type are the same to an expression, whatever table they are of: so most expressions of a
    spec are bound in one query over all columns that they mention, and only the others one by one.
    """
    shared: dict[str, pa.DataType] = {}
    together, alone = [], []
    for text, schema in dict.fromkeys(asked):
        names = columns_read(as_query(text))
        fields = {field.name: field.type for field in schema if names is not None and field.name.lower() in names}
        if names is None or len(fields) < len(names) or any(shared.get(n, t) != t for n, t in fields.items()):
            alone.append((text, schema))
        else:
            shared |= fields
            together.append((text, schema))
    table = pa.schema(shared or {"nothing": pa.null()})
    if together and _bind(_empty_table(table), [text for text, _ in together]) is not None:
        alone += together
    failures = ((key, _bind(_empty_table(key[1]), [key[0]])) for key in alone)
    return {key: reason for key, reason in failures if reason is not None}


def read_ahead(texts: Sequence[str]) -> None:
    """Parse many queries in one call, for the functions below."""
    new = [text for text in dict.fromkeys(texts) if text not in _documents]
    if new:
        _documents.update(zip(new, parse(new), strict=True))


@cache
def columns_read(query: str) -> frozenset[str] | None:
    """The names (lower case) of all columns that a query mentions; None where it may read any column.

    It may read any with a star, a natural join, a pivot, or a table's name in the place of a column.
    """
    document = _parsed(query)
    if document["error"]:  # DuckDB can't write every query as JSON: a pivot, for one
        return None
    names: set[str] = set()
    bare: set[str] = set()  # names that stand alone: a column, or a whole table as one value
    tables: set[str] = set()
    for node in _walk(document):
        kind = node.get("type")
        if node.get("class") == "STAR" or node.get("ref_type") == "NATURAL":
            return None
        if kind == "BASE_TABLE":
            tables |= {node["table_name"].lower(), node["alias"].lower()}
        elif kind == "COLUMN_REF":
            parts = {name.lower() for name in node["column_names"]}  # table.column, or column.field
            names |= parts
            bare |= parts if len(parts) == 1 else set()
        names |= {name.lower() for name in node.get("using_columns") or ()}
    return None if bare & tables else frozenset(names)


def keeps_order(query: str) -> bool:
    """Whether the order of a query's rows is decided: by an ORDER BY, or as a plain scan of one table."""
    document = _parsed(query)
    if document["error"]:
        return False
    node = document["statements"][0]["node"]
    modifiers = {m["type"] for m in node["modifiers"]}
    if "ORDER_MODIFIER" in modifiers:
        return True
    plain = node["type"] == "SELECT_NODE" and not node["cte_map"]["map"] and "DISTINCT_MODIFIER" not in modifiers
    return bool(plain and node["from_table"]["type"] == "BASE_TABLE" and not node["group_expressions"])


def filters(query: str) -> bool:
    """Whether a query is a plain pick of one table's rows, so that it may keep a like share of further rows."""
    document = _parsed(query)
    if document["error"]:
        return False
    node = document["statements"][0]["node"]
    plain = node["type"] == "SELECT_NODE" and not node["cte_map"]["map"] and node["from_table"]["type"] == "BASE_TABLE"
    if not plain or any(node[clause] for clause in ("group_expressions", "having", "qualify", "sample")):
        return False
    functions = {n["function_name"] for n in _walk({"list": node["select_list"]}) if n.get("class") == "FUNCTION"}
    orders = all(modifier["type"] == "ORDER_MODIFIER" for modifier in node["modifiers"])
    return orders and not functions & (_aggregates() | MULTIPLYING)


def multiplies(query: str, *, joins: bool = True) -> bool:
    """Whether a query may give more rows than the tables that it names have together, or one without a table.

    With `joins=False`, whether it may by anything but joining each of its tables once.
    """
    document = _parsed(query)
    if document["error"]:
        return True
    tables: list[str] = []
    for node in _walk(document):
        if node.get("type") in ("TABLE_FUNCTION", "PIVOT", "RECURSIVE_CTE_NODE", "EXPRESSION_LIST"):
            return True
        if joins and node.get("type") == "JOIN":
            return True
        if node.get("function_name") in MULTIPLYING or len(node.get("group_sets") or ()) > 1:
            return True
        tables += [node["table_name"].lower()] if node.get("type") == "BASE_TABLE" else []
        tables += [""] if node.get("type") == "EMPTY" else []  # a row from nowhere
    return len(tables) > len(set(tables))


def as_query(expression: str) -> str:
    """The query that `columns_read` takes for an expression."""
    return f"SELECT ({expression}\n) FROM given"


def _parsed(query: str) -> dict[str, Any]:
    read_ahead([query])
    return _documents[query]


def _bind(table: str, expressions: Sequence[str]) -> str | None:
    columns = ", ".join(f"({text}\n)" for text in expressions)
    try:
        _connection().execute(f"SELECT {columns} FROM {table} LIMIT 0")
    except duckdb.Error as e:
        return first_line(e)
    return None


def first_line(error: Exception) -> str:
    """DuckDB's message without its drawing of the query, and without its class of error."""
    line = str(error).strip().splitlines()[0]
    return line.partition(": ")[2] or line


def _empty_table(schema: pa.Schema) -> str:
    """The name of a table without rows of these columns."""
    return _create_empty(digest(schema.serialize().to_pybytes()), schema)


@cache
def _create_empty(key: str, schema: pa.Schema) -> str:
    con, name = _connection(), f"empty_{key}"
    con.register("given", empty_table(sql_schema(schema)))
    con.execute(f"CREATE TABLE IF NOT EXISTS {name} AS SELECT * FROM given")
    con.unregister("given")
    return name


def _walk(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every mapping of a document; by a stack, since most plans come here a thousand times."""
    stack: list[Any] = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield value
            stack += [item for item in value.values() if isinstance(item, dict | list)]
        else:
            stack += [item for item in value if isinstance(item, dict | list)]


@cache
def _aggregates() -> frozenset[str]:
    query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'"
    return frozenset(name for (name,) in _connection().execute(query).fetchall())


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
    con.execute("SET lock_configuration = true")
    return con
