"""Writes a hand-off folder: the rows of a built table as Parquet, and `handoff.json`, which is written last.

What a target besides Setwright's own trainers wants stands in the files beside this one; whether the folder can be
trained on is the pre-flight's to say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from engine.fingerprint import fingerprint
from engine.model import Weights
from engine.relation import Reader
from engine.schema import ROW_ID
from engine.store import write_atomically

VERSION = 1
"""Of the format. A reader refuses a version that it doesn't know (`trainers.data.folder`)."""

HANDOFF = "handoff.json"


@dataclass(frozen=True)
class Order:
    """What is handed over, to which trainer, on top of which model. `reads`: trainer's column -> table's column."""

    name: str
    trainer: str
    base: Weights
    params: Mapping[str, Any]
    seed: int
    reads: Mapping[str, str]


def write_folder(order: Order, source: Reader, folder: Path) -> None:
    """Write data and `handoff.json`; a folder without the latter was left half-way, and is written again.

    Raises:
        OSError: the folder can't be written.
    """
    (folder / "data").mkdir(parents=True, exist_ok=True)
    files = [_write_part(order, source, part, folder) for part in range(source.n_parts)]
    record = {
        "version": VERSION,
        "name": order.name,
        "trainer": order.trainer,
        "base": asdict(order.base),
        "params": dict(order.params),
        "seed": order.seed,
        "data": {
            "fingerprint": data_fingerprint(order, source),
            "rows": sum(file["rows"] for file in files),
            "columns": [ROW_ID, *order.reads],
            "files": files,
        },
        "hashes": {},
    }
    write_atomically(folder / HANDOFF, json.dumps(record, indent=2, ensure_ascii=False).encode())


def data_fingerprint(order: Order, source: Reader) -> str:
    """The identity of the columns that are handed over, from that of the table's objects."""
    return fingerprint({"relation": source.relation.to_json(), "reads": dict(order.reads)})


def _write_part(order: Order, source: Reader, part: int, folder: Path) -> dict[str, Any]:
    table = source.batch(part, order.reads)
    path = folder / "data" / f"part-{part:05}.parquet"
    pq.write_table(table.select([ROW_ID, *order.reads]), path, compression="zstd")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": f"data/{path.name}", "rows": table.num_rows, "sha256": digest}
