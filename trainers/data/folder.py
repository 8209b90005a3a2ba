"""Hand-off folders as a trainer sees them: `handoff.json`, read and checked, and the rows in its Parquet files.

Writing the folder is the engine's work; the pre-flight alone adds to it, by `record_hashes`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainers.errors import HandoffError

VERSION = 1
BATCH_ROWS = 2048
"""Rows of a record batch: enough to keep every core of the tokenizer busy, few enough to hold only megabytes."""


@dataclass(frozen=True)
class Base:
    """The model to start from: a folder or hub name, its commit, and a chat template instead of its own."""

    model: str
    revision: str | None = None
    chat_template: str | None = None


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of the rows, its path relative to the folder."""

    path: str
    rows: int
    sha256: str


@dataclass(frozen=True)
class Handoff:
    """What `handoff.json` says."""

    path: Path
    name: str
    trainer: str
    base: Base
    params: dict[str, Any]
    seed: int
    files: tuple[DataFile, ...]
    rows: int
    fingerprint: str
    columns: tuple[str, ...]
    hashes: dict[str, str] = field(default_factory=dict)


def open_handoff(folder: Path) -> Handoff:
    """Read `handoff.json` and verify that every data file is there and whole.

    Raises:
        HandoffError: no readable `handoff.json`, another version of the format, or a data file that isn't as written.
    """
    record = _read(folder / "handoff.json")
    if record.get("version") != VERSION:
        raise HandoffError(
            f"{folder / 'handoff.json'} has version {record.get('version')!r}, and this trainer reads {VERSION}: "
            "write the folder again with `setwright handoff`, or train it with the package that is in it"
        )
    try:
        handoff = _handoff(folder, record)
    except (KeyError, TypeError) as error:
        raise HandoffError(
            f"{folder / 'handoff.json'} is incomplete ({type(error).__name__}: {error}): write the folder again"
        ) from None
    for file in handoff.files:
        _verify(folder, file)
    return handoff


def record_batches(handoff: Handoff, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """The rows in order, at most `rows` at a time; one batch is in memory at once."""
    for file in handoff.files:
        with pq.ParquetFile(handoff.path / file.path) as parquet:
            missing = sorted({"row_id", *handoff.columns} - set(parquet.schema_arrow.names))
            if missing:
                absent = ", ".join(missing)
                raise HandoffError(f"{handoff.path / file.path} has no column {absent}: write the folder again")
            yield from parquet.iter_batches(rows, columns=["row_id", *(c for c in handoff.columns if c != "row_id")])


def record_hashes(handoff: Handoff, hashes: Mapping[str, str]) -> None:
    """Put the hashes of template and tokenizer into `handoff.json`."""
    path = handoff.path / "handoff.json"
    write_atomically(path, json.dumps({**_read(path), "hashes": dict(hashes)}, indent=2, ensure_ascii=False) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is there as a whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HandoffError(
            f"{path} doesn't exist: give the folder that `setwright handoff SPEC NAME` wrote, and let it finish"
        ) from None
    except (OSError, ValueError) as error:
        raise HandoffError(f"{path} can't be read ({error}): write the folder again") from None
    if not isinstance(record, dict):
        raise HandoffError(f"{path} isn't a JSON object: write the folder again")
    return record


def _handoff(folder: Path, record: Mapping[str, Any]) -> Handoff:
    data = record["data"]
    return Handoff(
        path=folder,
        name=record["name"],
        trainer=record["trainer"],
        base=Base(**record["base"]),
        params=dict(record["params"]),
        seed=record["seed"],
        files=tuple(DataFile(**file) for file in data["files"]),
        rows=data["rows"],
        fingerprint=data["fingerprint"],
        columns=tuple(data["columns"]),
        hashes=dict(record.get("hashes") or {}),
    )


def _verify(folder: Path, file: DataFile) -> None:
    path = folder / file.path
    try:
        with path.open("rb") as data:
            found = hashlib.file_digest(data, "sha256").hexdigest()
    except OSError as error:
        raise HandoffError(f"{path} can't be read ({error.strerror}): write the folder again") from None
    if found != file.sha256:
        raise HandoffError(
            f"{path} isn't as it was written (sha256 {found[:12]}..., handoff.json says {file.sha256[:12]}...): "
            "write the folder again"
        )
    rows = pq.read_metadata(path).num_rows
    if rows != file.rows:
        raise HandoffError(f"{path} has {rows} rows and handoff.json says {file.rows}: write the folder again")
