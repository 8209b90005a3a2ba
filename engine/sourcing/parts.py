"""The cut of a source into parts of equal size, each with the bad records found on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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

    def add(self, table: pa.Table, bad: list[BadRecord]) -> None:
        """Take rows, cut to the limit, and bad records."""
        if self._left is not None:
            table = table.slice(0, self._left)
            self._left -= len(table)
        self._waiting = pa.concat_tables([self._waiting, table])
        self._bad += bad

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
