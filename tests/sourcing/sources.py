"""Reads whole sources: `from sourcing.sources import read_source`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine import sourcing


def jsonl(path: Path, rows: list[Any]) -> Path:
    """Write rows as JSON lines; a string is a line as it stands."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read_source(
    text: str | Path, base: Path | None = None, *, limit: int | None = None, part_rows: int = 4096, **params: Any
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """All rows as one table, and the rejects."""
    source = sourcing.resolve(str(text), base or Path("/"))
    parts = list(sourcing.read(source, sourcing.SourceParams(**params), limit=limit, part_rows=part_rows))
    assert parts, "a source gives at least one part"
    assert all(len(part.table) == part_rows for part in parts[:-1])
    assert len(parts[-1].table) <= part_rows
    assert all(part.table.schema == parts[0].table.schema for part in parts)
    assert all(part.rejects.schema == sourcing.REJECTS for part in parts)
    rejects = [reject for part in parts for reject in part.rejects.to_pylist()]
    table = pa.concat_tables([part.table for part in parts])
    table.validate(full=True)
    assert table.column_names[:2] == ["row_id", "parent_id"]
    return table, rejects


def ids(table: pa.Table) -> list[str]:
    """The row ids in order."""
    return table["row_id"].to_pylist()
