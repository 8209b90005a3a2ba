"""The cut of a source into parts of equal size, each with the bad records found on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.errors import BadRecord

REJECTS = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("record", pa.int64(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)
"""The columns of the view `rejects`: one row for each fault of a record (see `engine.errors.BadRecord`)."""


@dataclass(frozen=True)
class SourcePart:
    """A part's rows, `row_id` and `parent_id` first, and the records that were rejected before its last row."""

    table: pa.Table
    rejects: pa.Table


@dataclass(frozen=True)
class Rows:
    """Rows of one input with their ids, the record number of each, and the bad records between them."""

    table: pa.Table
    records: np.ndarray
    bad: list[BadRecord]


class Parts:
    """Collects rows until a part is full."""

    def __init__(self, schema: pa.Schema, part_rows: int, limit: int | None) -> None:
        self._schema = schema
        self._part_rows = part_rows
        self._left = limit  # rows that may still come; None: all
        self._waiting = schema.empty_table()
        self._bad: list[BadRecord] = []
        self._given = 0

    @property
    def complete(self) -> bool:
        """Whether the limit is reached."""
        return self._left == 0

    def add(self, rows: Rows) -> list[BadRecord]:
        """Take rows and the bad records between them, both cut to the limit; returns the bad ones taken."""
        table, bad = rows.table, rows.bad
        if self._left is not None and len(table) >= self._left:
            last = rows.records[self._left - 1] if self._left else 0
            table, bad = table.slice(0, self._left), [record for record in bad if record.record < last]
        if self._left is not None:
            self._left -= len(table)
        self._waiting = pa.concat_tables([self._waiting, table])
        self._bad += bad
        return bad

    def full(self) -> Iterator[SourcePart]:
        """The parts that are full."""
        while len(self._waiting) >= self._part_rows:
            yield self._part(self._waiting.slice(0, self._part_rows))
            self._waiting = self._waiting.slice(self._part_rows)

    def rest(self) -> Iterator[SourcePart]:
        """The last part, if there is anything left or nothing was given yet."""
        if len(self._waiting) or self._bad or not self._given:
            yield self._part(self._waiting)

    def _part(self, table: pa.Table) -> SourcePart:
        bad, self._bad = self._bad, []
        self._given += 1
        columns = {name: [getattr(record, name) for record in bad] for name in REJECTS.names}
        return SourcePart(table.combine_chunks(), pa.table(columns, schema=REJECTS))
