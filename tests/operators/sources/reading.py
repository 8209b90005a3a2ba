"""Reads a file through one format: `from operators.sources.reading import read_all`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.errors import BadRecord
from engine.operators.sources._reader import Input, Reader
from engine.operators.sources._types import settled

SHARED = Path(__file__).parents[4] / "shared" / "data"


@dataclass
class Reading:
    """All that a reader gave."""

    schema: pa.Schema
    rows: list[dict[str, Any]]
    records: list[int]
    bad: list[BadRecord]

    @property
    def faults(self) -> list[tuple[int, str, str]]:
        """(record, field, reason) of each bad record."""
        return [(b.record, b.field, b.reason) for b in self.bad]


def read_all(reader: Reader, source: Input | Path, known: pa.Schema | None = None) -> Reading:
    """Both passes over one input; every block must be valid, of the one schema, with a number for each row."""
    source = Input(source.name, source) if isinstance(source, Path) else source
    schema = known or pa.schema([])
    for wider in reader.scan(source, schema):
        schema = wider
    schema = settled(schema)
    blocks = list(reader.read(source, schema))
    for block in blocks:
        block.table.validate(full=True)
        assert block.table.schema == schema
        assert len(block.table) == len(block.records)
    rows = [row for block in blocks for row in block.table.to_pylist()]
    records = [int(record) for block in blocks for record in block.records]
    return Reading(schema, rows, records, [bad for block in blocks for bad in block.bad])


def written(path: Path, data: bytes | str) -> Path:
    """The path, after writing these bytes to it."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path
