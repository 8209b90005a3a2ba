"""What a shape is, and what every shape needs of a table: its columns by name and type, added or replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from engine.schema import is_list, is_text


class Problem(NamedTuple):
    """A row that isn't what its shape says: its index in the table, the field's path, and what is wrong."""

    row: int
    field: str
    reason: str


Filled = tuple[pa.Table, list[Problem]]


@dataclass(frozen=True)
class Shape:
    """A way in which data sets lay out their rows.

    `detect(schema)` looks at names and types alone. So does the schema that `fill` gives: no type depends on a value.
    `fill(table)` keeps every column, adds what the shape has in a canonical form, and returns as many rows in the same
    order; a row with a problem has whatever its faulty values led to. `content` names the columns, after filling, that
    say what a row is; one that is absent counts as null.
    """

    name: str
    needs: str  # in words, for the message when the named shape isn't there
    detect: Callable[[pa.Schema], bool]
    content: tuple[str, ...]
    fill: Callable[[pa.Table], Filled]


def one(table: pa.Table, name: str) -> pa.Array:
    """A column as one array."""
    chunks = table[name].combine_chunks()
    return chunks.combine_chunks() if isinstance(chunks, pa.ChunkedArray) else chunks


def add(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """The table with these columns after its own; a column that it has stays as found."""
    for name, values in columns.items():
        if name not in table.column_names:
            table = table.append_column(name, values)
    return table


def replaced(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """The table with a column in the place of the one of that name, or after its own."""
    if name not in table.column_names:
        return table.append_column(name, values)
    return table.set_column(table.column_names.index(name), name, values)


def null_rows(column: pa.Array, name: str) -> list[Problem]:
    """A problem for each null."""
    if column.null_count == 0:
        return []
    return [Problem(int(i), name, "missing or null") for i in np.flatnonzero(np.asarray(column.is_null()))]


def text_fields(schema: pa.Schema) -> set[str]:
    """The names of the text columns."""
    return {field.name for field in schema if is_text(field.type)}


def message_fields(kind: pa.DataType) -> dict[str, pa.DataType]:
    """The fields of the messages of a conversation column; empty for any other type."""
    if is_list(kind) and pa.types.is_struct(kind.value_type):
        return {field.name: field.type for field in kind.value_type}
    return {}
