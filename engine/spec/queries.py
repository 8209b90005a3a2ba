"""What SQL text says, by DuckDB's own parser: the tables of a query, the columns of an expression, what neither may do.

Nothing is bound or run here: whether a table has a column, and of which type, is for the plan to find out. The result of
a user's SQL is kept under the identity of the tables that it reads and must follow from them alone. Functions that reach
files, settings, the clock or chance are therefore refused, by what DuckDB's own catalog says of each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.errors import SetwrightError

if TYPE_CHECKING:
    import duckdb

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
"""The table functions that a query may call."""

# Macros over volatile functions, and what SQL lets stand without parentheses; the catalog says neither.
_CLOCK = frozenset(
    "ago current_date current_time current_timestamp localtime localtimestamp current_localtime "
    "current_localtimestamp getenv".split()
)
_AGGREGATE_MACROS = frozenset("geomean geometric_mean wavg weighted_avg".split())
_BEFORE, _AFTER = "SELECT (", "\n)"  # what stands around an expression while it is parsed


@dataclass(frozen=True)
class Fault:
    """Something wrong with SQL text; `offset` counts its characters from 0, None where the place is unknown."""

    message: str
    offset: int | None = None


@dataclass
class Reading:
    """What a text reads (lower-case names, each with the offset of its first mention), and what is wrong with it."""

    names: dict[str, int | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_queries(texts: Sequence[str]) -> list[Reading]:
    """The tables that each query reads; what a query itself defines by WITH is not among them."""
    return [_query(text, document) for text, document in zip(texts, _parse(texts), strict=True)]


def read_expressions(texts: Sequence[str]) -> list[Reading]:
    """The columns that each expression reads; of `a.b`, a field of a struct, it is a."""
    documents = _parse([f"{_BEFORE}{text}{_AFTER}" for text in texts])
    return [_expression(text, document) for text, document in zip(texts, documents, strict=True)]


def tables_of(query: str) -> set[str]:
    """The tables that a query reads.

    Raises:
        SetwrightError: it is no single SELECT, or reaches for what is out of reach.
    """
    return _sound(read_queries([query])[0])


def columns_of(expression: str) -> set[str]:
    """The columns that an expression reads.

    Raises:
        SetwrightError: it is no expression over one row, or reaches for what is out of reach.
    """
    return _sound(read_expressions([expression])[0])


def _sound(reading: Reading) -> set[str]:
    if reading.faults:
        raise SetwrightError("; ".join(fault.message for fault in reading.faults))
    return set(reading.names)


def _query(text: str, document: dict[str, Any]) -> Reading:
    visitor = _Visitor(text, 0)
    if document["error"]:
        visitor.refuse_syntax(document, "only a SELECT may stand here")
    elif len(document["statements"]) != 1:
        visitor.reading.faults.append(Fault("exactly one SELECT must stand here"))
    else:
        visitor.visit(document["statements"][0])
    return visitor.reading


def _expression(text: str, document: dict[str, Any]) -> Reading:
    visitor = _ExpressionVisitor(text, len(_BEFORE))
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


class _Visitor:
    """Walks a serialised query and notes the tables that it reads.

    `hidden` are the names that WITH gives to parts of the query itself, where they can be seen.
    """

    def __init__(self, text: str, before: int) -> None:
        self.reading = Reading()
        self._text = text.encode()
        self._before = before

    def visit(self, value: Any, hidden: frozenset[str] = frozenset()) -> None:
        """Look at a part of the query and at all that it holds."""
        if isinstance(value, list):
            for item in value:
                self.visit(item, hidden)
        elif isinstance(value, dict):
            if value.get("cte_map"):
                hidden = self._definitions(value["cte_map"]["map"], hidden)
            self.look(value, hidden)
            for key, item in value.items():
                if key != "cte_map" and isinstance(item, dict | list):
                    self.visit(item, hidden)

    def look(self, node: dict[str, Any], hidden: frozenset[str]) -> None:
        """Note what one node of the query reads or may not do."""
        match node.get("type"):
            case "BASE_TABLE":
                self._table(node, hidden)
            case "TABLE_FUNCTION":
                name = node["function"]["function_name"]
                if name not in TABLE_FUNCTIONS:
                    self._out_of_reach(name, node)
                node["function"]["function_name"] = ""  # dealt with; its arguments are still to be seen
            case "SHOW_REF" if not node["query"]:
                self.refuse("SHOW is out of reach: SQL sees the tables of the spec alone", node)
            case "FUNCTION" if node["function_name"] in _functions().refused:
                self._out_of_reach(node["function_name"], node)
            case "COLUMN_REF" if len(node["column_names"]) == 1 and node["column_names"][0].lower() in _CLOCK:
                self._out_of_reach(node["column_names"][0].lower(), node)
            case "VALUE_PARAMETER":
                self.refuse("there is no value for a parameter here", node)
        if node.get("sample"):
            self.refuse("a sample is drawn anew at every run; use select: random, which follows the seed")

    def note(self, name: str, node: dict[str, Any]) -> None:
        """Note a name that is read."""
        self.reading.names.setdefault(name.lower(), self._offset(node["query_location"]))

    def refuse(self, message: str, node: dict[str, Any] | None = None) -> None:
        """Note a fault."""
        self.reading.faults.append(Fault(message, self._offset(node["query_location"]) if node else None))

    def refuse_syntax(self, error: dict[str, Any], instead: str) -> None:
        """Note what DuckDB's parser says of a text that it can't read; `instead` of its words on statements."""
        position = int(error.get("position", 0))
        if error["error_type"] != "parser":
            fault = Fault(instead)
        elif position > self._before + len(self._text):  # it stumbled over what was put behind the text
            fault = Fault("unfinished, or with a parenthesis too many", len(self._text.decode()))
        else:
            fault = Fault(f"DuckDB: {error['error_message']}", self._offset(position))
        self.reading.faults.append(fault)

    def _definitions(self, entries: list[dict[str, Any]], hidden: frozenset[str]) -> frozenset[str]:
        """Visit what WITH defines; each definition sees those before it, and itself where it is recursive."""
        for entry in entries:
            query, name = entry["value"]["query_node"], entry["key"].lower()
            self.visit(query, hidden | {name} if query["type"] == "RECURSIVE_CTE_NODE" else hidden)
            hidden |= {name}
        return hidden

    def _table(self, node: dict[str, Any], hidden: frozenset[str]) -> None:
        name = node["table_name"].lower()
        if node["schema_name"]:
            self.refuse(f"name the table {name} without a schema", node)
        elif name not in hidden:
            self.note(name, node)

    def _out_of_reach(self, name: str, node: dict[str, Any]) -> None:
        self.refuse(f"{name} is out of reach: SQL sees the tables of the spec alone, no files, settings, clock or chance", node)

    def _offset(self, position: int) -> int | None:
        """DuckDB counts bytes, and from the beginning of what it was given."""
        start = position - self._before
        return len(self._text[:start].decode(errors="ignore")) if 0 <= start <= len(self._text) else None


class _ExpressionVisitor(_Visitor):
    """Walks an expression over one row and notes the columns that it reads; `hidden` are the parameters of lambdas."""

    def visit(self, value: Any, hidden: frozenset[str] = frozenset()) -> None:
        """Look at a part of the expression; `x -> x > 1` names no column x, but the JSON path `x -> '$.a'` does."""
        if isinstance(value, dict) and value.get("class") == "LAMBDA" and value["expr"]["class"] != "CONSTANT":
            left = value["lhs"]
            parameters = [left] if left["class"] == "COLUMN_REF" else [a["expression"] for a in left["arguments"]]
            self.visit(value["expr"], hidden | {p["column_names"][0].lower() for p in parameters})
        else:
            super().visit(value, hidden)

    def look(self, node: dict[str, Any], hidden: frozenset[str]) -> None:
        """Note a column, or what needs more than one row."""
        super().look(node, hidden)
        match node.get("class"):
            case "COLUMN_REF" if node["column_names"][0].lower() not in hidden:
                self.note(node["column_names"][0], node)
            case "SUBQUERY":
                self.refuse("a subquery needs other rows than the one at hand; compute it in a sql table", node)
            case "WINDOW":
                self.refuse("a window function needs other rows than the one at hand; compute it in a sql table", node)
            case "FUNCTION" if node["function_name"] in _functions().aggregates:
                name = node["function_name"].removesuffix("_star")
                self.refuse(f"the aggregate {name} needs other rows than the one at hand; compute it in a sql table", node)
            case "FUNCTION" if node["function_name"] == "unnest":
                self.refuse("unnest makes several rows of one; use it in a sql table", node)
            case "STAR" | "POSITIONAL_REFERENCE":
                self.refuse("name the columns one by one", node)


class _Functions(NamedTuple):
    refused: frozenset[str]
    aggregates: frozenset[str]


@cache
def _functions() -> _Functions:
    """What DuckDB's catalog says of its functions: those not fit for a user's SQL, and those over many rows."""
    rows = _connection().execute(
        """
        SELECT function_name,
               bool_or(function_type = 'aggregate'),
               bool_and(function_type IN ('table', 'table_macro', 'pragma')
                        OR coalesce(stability, 'CONSISTENT') <> 'CONSISTENT')
        FROM duckdb_functions() GROUP BY function_name
        """
    ).fetchall()
    refused = {name for name, _, unfit in rows if unfit} | _CLOCK
    return _Functions(
        refused=frozenset(refused - TABLE_FUNCTIONS),
        aggregates=frozenset({name for name, aggregate, _ in rows if aggregate} | _AGGREGATE_MACROS),
    )


def _parse(texts: Sequence[str]) -> list[dict[str, Any]]:
    """DuckDB's serialised form of each text; all in one call, since a call costs more than parsing a query."""
    rows = _connection().execute("SELECT json_serialize_sql(q) FROM (SELECT unnest($1) AS q)", [list(texts)]).fetchall()
    return [json.loads(row[0]) for row in rows]


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb  # 0.3 s, which a command that reads no SQL shouldn't pay

    return duckdb.connect(":memory:", config={"threads": "1", "enable_external_access": "false"})
