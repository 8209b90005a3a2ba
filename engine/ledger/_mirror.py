"""The mirror of the ledger in Parquet, which the catalog reads: a file for each lot of calls, never written again."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa

MIRROR = pa.schema(
    [("seq", pa.int64()), ("call_id", pa.string()), ("model", pa.string()), ("kind", pa.string()),
     ("request", pa.string()), ("response", pa.string()), ("error", pa.string()), ("tokens_in", pa.int64()),
     ("tokens_out", pa.int64()), ("latency_s", pa.float64()), ("cost", pa.float64()), ("attempts", pa.int64()),
     ("spec", pa.string()), ("node", pa.string()), ("row_id", pa.string()), ("build", pa.string()),
     ("called_at", pa.timestamp("us", tz="UTC"))]
)  # fmt: skip
"""The `calls` of the catalog: the ledger without its vectors."""


def mirror(con: sqlite3.Connection, folder: Path, batch_rows: int) -> None:
    """Bring the mirror up to date; each file holds the calls up to the number in its name."""
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    last = max((int(p.stem.removeprefix("calls-")) for p in folder.glob("calls-*.parquet")), default=-1)
    rows = _after(con, max(last, 0), batch_rows)
    while rows or last < 0:  # an empty file, too, where there were no calls: the view needs one
        last = rows[-1][0] if rows else 0
        path = folder / f"calls-{last:012d}.parquet"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        pq.write_table(_to_arrow(rows), temporary, compression="zstd", compression_level=1)
        temporary.rename(path)
        rows = _after(con, last, batch_rows)


def _after(con: sqlite3.Connection, seq: int, limit: int) -> list[tuple[Any, ...]]:
    query = (
        "SELECT seq, lower(hex(id)), model, kind, request, response, error, tokens_in, tokens_out, latency_s, "
        "cost, attempts, spec, node, row_id, build, CAST(at * 1e6 AS INTEGER) "
        "FROM calls WHERE seq > ? ORDER BY seq LIMIT ?"
    )
    return con.execute(query, (seq, limit)).fetchall()


def _to_arrow(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(MIRROR)
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, MIRROR, strict=True)], schema=MIRROR
    )
