"""What a `sql:` table or an expression gives and reads, found out by DuckDB's own parser and binder on empty tables.

Nothing is executed and no file is touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa


def result_schema(query: str, tables: Mapping[str, pa.Schema]) -> pa.Schema:
    """The columns that a query gives.

    Raises:
        duckdb.Error: the query does not bind: an unknown column, a wrong type.
    """
    con = _connection().cursor()
    for name, schema in tables.items():
        con.register(name, schema.empty_table())
    try:
        return con.sql(query).limit(0).to_arrow_table().schema
    finally:
        for name in tables:
            con.unregister(name)
        con.close()


def expression_type(expression: str, schema: pa.Schema) -> pa.DataType:
    """The type of an expression over a table's columns; raises `duckdb.Error` where it does not bind."""
    return result_schema(f"SELECT ({expression}) AS value FROM given", {"given": schema}).field("value").type


def columns_read(query: str) -> frozenset[str] | None:
    """The names (lower case) of all columns that a query mentions; None where it may read any column.

    It may read any with a star, a natural join, a pivot, or a table's name in the place of a column.
    """
    document = _parse(query)
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
    document = _parse(query)
    if document["error"]:
        return False
    node = document["statements"][0]["node"]
    modifiers = {m["type"] for m in node["modifiers"]}
    if "ORDER_MODIFIER" in modifiers:
        return True
    plain = node["type"] == "SELECT_NODE" and not node["cte_map"]["map"] and "DISTINCT_MODIFIER" not in modifiers
    return bool(plain and node["from_table"]["type"] == "BASE_TABLE" and not node["group_expressions"])


def _parse(query: str) -> dict[str, Any]:
    text = _connection().execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0]
    document: dict[str, Any] = json.loads(text)
    return document


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _walk(item)


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
    con.execute("SET lock_configuration = true")
    return con
