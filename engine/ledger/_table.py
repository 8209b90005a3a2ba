"""The table of calls in SQLite: what a call is there, and how many are written or found by one statement.

SQLite gives Python's lock back for the length of a statement. One for many rows costs the event loop a single wait for
the lock; one for each row would let two threads pass it to and fro.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from engine.errors import StoreError

T = TypeVar("T")

TABLE = """
CREATE TABLE IF NOT EXISTS calls (
  seq INTEGER PRIMARY KEY, id BLOB NOT NULL, model TEXT NOT NULL, kind TEXT NOT NULL, request TEXT NOT NULL,
  response TEXT, vector BLOB, error TEXT, tokens_in INTEGER, tokens_out INTEGER, latency_s REAL, cost REAL,
  attempts INTEGER NOT NULL, spec TEXT NOT NULL, node TEXT NOT NULL, row_id TEXT, build TEXT NOT NULL, at REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS answered ON calls (id) WHERE error IS NULL;
"""
AT_ONCE = 64
"""Rows of a statement at most: SQLite keeps the statements of all these lengths prepared."""


class Call(NamedTuple):
    """One call as it is remembered: an answer (`response` as JSON and maybe `vector`), or an `error`.

    The fields are the table's columns, in their order.
    """

    id: bytes
    model: str
    kind: str
    request: str
    response: str | None
    vector: bytes | None
    error: str | None
    tokens_in: int | None
    tokens_out: int | None
    latency_s: float
    cost: float | None
    attempts: int
    spec: str
    node: str
    row_id: str | None
    build: str


Found = tuple[str, bytes | None]
"""A recorded answer: `response` and `vector` of its call."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection under which what is committed is on disk."""
    con = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    con.execute("PRAGMA journal_mode = WAL")
    con.execute("PRAGMA synchronous = FULL")
    return con


def insert(con: sqlite3.Connection, calls: Sequence[Call], at: float) -> None:
    """Write calls that ended at a time; an answer that is there already stays."""
    columns = (*Call._fields, "at")
    row = f"({', '.join('?' * len(columns))})"
    for some in _cut(calls):
        rows = ", ".join([row] * len(some))
        values = [value for call in some for value in (*call, at)]
        con.execute(f"INSERT OR IGNORE INTO calls ({', '.join(columns)}) VALUES {rows}", values)


def find(con: sqlite3.Connection, ids: Sequence[bytes]) -> dict[bytes, Found]:
    """The answers that are there for these ids."""
    found: dict[bytes, Found] = {}
    for some in _cut(ids):
        query = f"SELECT id, response, vector FROM calls WHERE error IS NULL AND id IN ({', '.join('?' * len(some))})"
        found.update((id_, (response, vector)) for id_, response, vector in con.execute(query, some))
    return found


def _cut(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's refusals into a `StoreError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as e:
        raise StoreError(
            f"can't read or write {path}: {e}",
            cure="free space or give permission, and run the same command again: every recorded call is kept",
        ) from e
