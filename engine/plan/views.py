"""A table as a reader sees it: its columns, of which types they are, and which step each of them is owned by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from engine.plan.sql import as_query, columns_read


@dataclass(frozen=True)
class Column:
    """A column of a table: its type and the step that owns it."""

    type: pa.DataType
    owner: str


View = dict[str, Column]
"""The columns by their names."""


def schema_of(view: Mapping[str, Column]) -> pa.Schema:
    """The columns without their owners."""
    return pa.schema([(name, column.type) for name, column in view.items()])


def named(expression: str, view: Iterable[str]) -> list[str]:
    """The columns of a view that an expression mentions; all of them where it may read any."""
    mentioned = columns_read(as_query(expression))
    return [name for name in view if mentioned is None or name.lower() in mentioned]


def score_columns(rename: str | None, declared: Iterable[str]) -> dict[str, str]:
    """A scorer's own names of its columns -> those in the table.

    `as: NAME` names a single column NAME, and several columns NAME_<column>.
    """
    names = list(declared)
    if rename is None:
        return {name: name for name in names}
    return {name: rename if len(names) == 1 else f"{rename}_{name}" for name in names}
