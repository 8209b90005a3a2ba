"""A walk through DuckDB's serialised form of a query: what it reads, and what it may not do.

The result of a user's SQL is kept under the identity of the tables that it reads and must follow from them alone.
Functions that reach files, settings, the clock or chance are therefore refused, by what DuckDB's own catalog says of
each (`Functions`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
"""The table functions that a query may call."""

CLOCK = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
"""What reads the clock and, in SQL, stands without parentheses like a column."""

_OF_ROUNDS = re.compile(r"\w+@(previous|last|\d+)")
_ALONE = "SQL sees the tables of the spec alone"
_OTHER_ROWS = "needs other rows than the one at hand; compute it in a sql table"


@dataclass(frozen=True)
class Functions:
    """Names of functions that are refused anywhere, and of those over many rows."""

    refused: frozenset[str]
    aggregates: frozenset[str]


@dataclass(frozen=True)
class Fault:
    """Something wrong with SQL text; `offset` counts its characters from 0, None where the place is unknown."""

    message: str
    offset: int | None = None


@dataclass
class Reading:
    """The tables that a text reads (lower case, with the offset of their first mention), and what is wrong with it."""

    tables: dict[str, int | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class QueryVisitor:
    """Walks a serialised query and notes the tables that it reads.

    `hidden` are the names that WITH gives to parts of the query itself, where they can be seen.
    """

    def __init__(self, text: str, before: int, functions: Functions) -> None:
        self.reading = Reading()
        self.functions = functions
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
                self.refuse(f"SHOW is out of reach: {_ALONE}", node)
            case "FUNCTION" if node["function_name"] in self.functions.refused:
                self._out_of_reach(node["function_name"], node)
            case "COLUMN_REF" if len(node["column_names"]) == 1 and node["column_names"][0].lower() in CLOCK:
                self._out_of_reach(node["column_names"][0].lower(), node)
            case "VALUE_PARAMETER":
                self.refuse("there is no value for a parameter here", node)
        if node.get("sample"):
            self.refuse("a sample is drawn anew at every run; use select: random, which follows the seed")

    def refuse(self, message: str, node: dict[str, Any] | None = None) -> None:
        """Note a fault."""
        self.reading.faults.append(Fault(message, self._offset(node["query_location"]) if node else None))

    def refuse_syntax(self, error: dict[str, Any], instead: str) -> None:
        """Note what DuckDB's parser says of a text that it can't read; `instead` of its words on statements."""
        position = int(error.get("position", 0))
        unquoted = self._unquoted_round(position)
        if error["error_type"] != "parser":
            fault = Fault(instead)
        elif unquoted is not None:
            fault = Fault(f'write "{unquoted[0]}" in double quotes', unquoted.start())
        elif position > self._before + len(self._text):  # it stumbled over what was put behind the text
            end = self._offset(self._before + len(self._text))
            fault = Fault("the expression is unfinished, or has a parenthesis too many", end)
        else:
            fault = Fault(f"DuckDB: {error['error_message']}", self._offset(position))
        self.reading.faults.append(fault)

    def _unquoted_round(self, position: int) -> re.Match[str] | None:
        """The name of a node of rounds over whose @ the parser has stumbled."""
        at = self._offset(position) or 0
        return next((name for name in _OF_ROUNDS.finditer(self._text.decode()) if at in range(*name.span())), None)

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
            self.refuse(f"write {name} without its schema: {_ALONE}", node)
        elif name not in hidden:
            self.reading.tables.setdefault(name, self._offset(node["query_location"]))

    def _out_of_reach(self, name: str, node: dict[str, Any]) -> None:
        self.refuse(f"{name} is out of reach: {_ALONE}, no files, settings, clock or chance", node)

    def _offset(self, position: int) -> int | None:
        """DuckDB counts bytes, and from the beginning of what it was given."""
        start = position - self._before
        return len(self._text[:start].decode(errors="ignore")) if 0 <= start <= len(self._text) else None


class ExpressionVisitor(QueryVisitor):
    """Walks an expression, which may look at nothing but the columns of one row."""

    def look(self, node: dict[str, Any], hidden: frozenset[str]) -> None:
        """Note what needs more than one row, or leaves open which columns it reads."""
        super().look(node, hidden)
        match node.get("class"):
            case "SUBQUERY":
                self.refuse(f"a subquery {_OTHER_ROWS}", node)
            case "WINDOW":
                self.refuse(f"a window function {_OTHER_ROWS}", node)
            case "FUNCTION" if node["function_name"] in self.functions.aggregates:
                self.refuse(f"the aggregate {node['function_name'].removesuffix('_star')} {_OTHER_ROWS}", node)
            case "FUNCTION" if node["function_name"] == "unnest":
                self.refuse("unnest makes several rows of one; use it in a sql table", node)
            case "STAR" | "POSITIONAL_REFERENCE":
                self.refuse("name the columns one by one", node)
