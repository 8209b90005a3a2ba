"""Writes a table to a file that other tools read; the format is the file's suffix."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import SetwrightError


def write_table(table: pa.Table, path: Path) -> None:
    """Write Parquet, JSON lines or CSV.

    Raises:
        SetwrightError: the suffix names none of them, or a nested column can't stand in CSV.
    """
    match path.suffix:
        case ".parquet":
            pq.write_table(table, path, compression="zstd")
        case ".jsonl" | ".ndjson":
            _frame(table).write_ndjson(path)
        case ".csv":
            nested = [f.name for f in table.schema if pa.types.is_nested(f.type)]
            if nested:
                raise SetwrightError(
                    f"{path}: CSV can't hold the nested columns {', '.join(nested)}", cure="write .parquet or .jsonl"
                )
            _frame(table).write_csv(path)
        case _:
            raise SetwrightError(f"{path}: unknown format", cure="use .parquet, .jsonl or .csv")


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
