"""The ledger: every model call, addressed by its content, in SQLite.

A call's id is the digest of (model identity, kind of call, rendered request, draw). An answer is on disk (committed
and synced) before the operator that asked sees it. Answers that arrive together share one commit, in a thread of
its own, so that the event loop never waits for the disk. SQLite's WAL keeps it whole through a SIGKILL or a full disk.

What is asked, and of whom, is not known here (`calls`); nor is the catalog, which reads the mirror in Parquet.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from engine.errors import StoreError

GATHER_S = 0.002
"""How long the writer waits for more before it commits: a commit's cost is the sync, whatever it holds."""

TABLE = """
CREATE TABLE IF NOT EXISTS calls (
  seq INTEGER PRIMARY KEY, id BLOB NOT NULL, model TEXT NOT NULL, kind TEXT NOT NULL, request TEXT NOT NULL,
  response TEXT, vector BLOB, error TEXT, tokens_in INTEGER, tokens_out INTEGER, latency_s REAL, cost REAL,
  attempts INTEGER NOT NULL, spec TEXT NOT NULL, node TEXT NOT NULL, row_id TEXT, build TEXT NOT NULL, at REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS answered ON calls (id) WHERE error IS NULL;
"""
COLUMNS = (
    "id", "model", "kind", "request", "response", "vector", "error", "tokens_in", "tokens_out",
    "latency_s", "cost", "attempts", "spec", "node", "row_id", "build", "at",
)  # fmt: skip
INSERT = f"INSERT OR IGNORE INTO calls ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"

MIRROR = pa.schema(
    [("seq", pa.int64()), ("call_id", pa.string()), ("model", pa.string()), ("kind", pa.string()),
     ("request", pa.string()), ("response", pa.string()), ("error", pa.string()), ("tokens_in", pa.int64()),
     ("tokens_out", pa.int64()), ("latency_s", pa.float64()), ("cost", pa.float64()), ("attempts", pa.int64()),
     ("spec", pa.string()), ("node", pa.string()), ("row_id", pa.string()), ("build", pa.string()),
     ("called_at", pa.timestamp("us", tz="UTC"))]
)  # fmt: skip
"""The `calls` of the catalog: the ledger without its vectors."""


class Call(NamedTuple):
    """One call as it is remembered: an answer (`response` as JSON and maybe `vector`), or an `error`.

    The fields stand in the order of the table's columns.
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


class Ledger:
    """The calls of a home. Open it once a process; `record` is awaited from one event loop at a time."""

    def __init__(self, home: Path) -> None:
        self.path = home / "ledger.sqlite"
        with _disk(self.path):
            home.mkdir(parents=True, exist_ok=True)
            self._reader = self._connect()
            self._reader.executescript(TABLE)
        self._queue: queue.SimpleQueue[tuple[Call, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def find(self, ids: Iterable[bytes]) -> dict[bytes, tuple[str, bytes | None]]:
        """The answers (JSON text, vector) that are there for these ids; one look-up costs some microseconds."""
        found = {}
        cursor = self._reader.cursor()
        for id_ in ids:
            row = cursor.execute("SELECT response, vector FROM calls WHERE id = ? AND error IS NULL", (id_,)).fetchone()
            if row is not None:
                found[id_] = row
        return found

    def usage(self, ids: Iterable[bytes]) -> list[tuple[int, int, int]]:
        """Of each answered call: tokens in and out (0 where they weren't told) and the characters of its request."""
        query = (
            "SELECT coalesce(tokens_in, 0), coalesce(tokens_out, 0), length(request) "
            "FROM calls WHERE id = ? AND error IS NULL"
        )
        cursor = self._reader.cursor()
        found = (cursor.execute(query, (id_,)).fetchone() for id_ in ids)
        return [row for row in found if row is not None]

    async def record(self, calls: Iterable[Call]) -> None:
        """Returns when the calls are on disk.

        Raises:
            StoreError: the disk refuses; nothing that was recorded before is lost.
        """
        loop = asyncio.get_running_loop()
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="ledger", daemon=True)
            self._writer.start()
        waiting = []
        for call in calls:
            done: asyncio.Future[None] = loop.create_future()
            self._queue.put((call, done))
            waiting.append(done)
        for done in waiting:
            await done

    def mirror(self, folder: Path, batch_rows: int = 50_000) -> None:
        """Bring the Parquet mirror in `folder` up to date; each file holds the calls up to the number in its name."""
        import pyarrow.parquet as pq

        with _disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
            last = max((int(p.stem.removeprefix("calls-")) for p in folder.glob("calls-*.parquet")), default=-1)
            rows = self._after(max(last, 0), batch_rows)
            while rows or last < 0:  # an empty file, too, where there were no calls: the view needs one
                last = rows[-1][0] if rows else 0
                path = folder / f"calls-{last:012d}.parquet"
                temporary = path.with_suffix(f".{os.getpid()}.tmp")
                pq.write_table(_to_arrow(rows), temporary, compression="zstd", compression_level=1)
                temporary.rename(path)
                rows = self._after(last, batch_rows)

    def count(self) -> int:
        """Answered calls."""
        return int(self._reader.execute("SELECT count(*) FROM calls WHERE error IS NULL").fetchone()[0])

    def close(self) -> None:
        """Write what is queued and close."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
        self._reader.close()

    def _after(self, seq: int, limit: int) -> list[tuple[Any, ...]]:
        query = (
            "SELECT seq, lower(hex(id)), model, kind, request, response, error, tokens_in, tokens_out, latency_s, "
            "cost, attempts, spec, node, row_id, build, CAST(at * 1e6 AS INTEGER) "
            "FROM calls WHERE seq > ? ORDER BY seq LIMIT ?"
        )
        rows: list[tuple[Any, ...]] = self._reader.execute(query, (seq, limit)).fetchall()
        return rows

    def _connect(self) -> sqlite3.Connection:
        con = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        con.execute("PRAGMA journal_mode = WAL")
        con.execute("PRAGMA synchronous = FULL")
        return con

    def _write(self) -> None:
        """The writer thread: everything that is queued goes into one transaction."""
        con = self._connect()
        ending = False
        while not ending:
            batch = [self._queue.get()]
            time.sleep(GATHER_S)
            with contextlib.suppress(queue.Empty):
                while True:
                    batch.append(self._queue.get_nowait())
            ending = None in batch
            entries = [entry for entry in batch if entry is not None]
            if entries:
                failure = self._commit(con, [call for call, _ in entries])
                _tell([done for _, done in entries], failure)
        con.close()

    def _commit(self, con: sqlite3.Connection, calls: list[Call]) -> StoreError | None:
        now = time.time()
        rows = [(*call, now) for call in calls]
        try:
            with _disk(self.path):
                con.execute("BEGIN IMMEDIATE")
                try:
                    con.executemany(INSERT, rows)
                    con.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):
                        con.execute("ROLLBACK")
                    raise
        except StoreError as failure:
            return failure
        return None


def _tell(waiting: list[asyncio.Future[None]], failure: StoreError | None) -> None:
    """Wake the coroutines that wait for a commit, by one call into their loop."""

    def settle() -> None:
        for done in waiting:
            if not done.done():
                done.set_result(None) if failure is None else done.set_exception(failure)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        waiting[0].get_loop().call_soon_threadsafe(settle)


def _to_arrow(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(MIRROR)
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, MIRROR, strict=True)], schema=MIRROR
    )


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's refusals into a `StoreError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as e:
        raise StoreError(
            f"can't read or write {path}: {e}",
            cure="free space or give permission, and run the same command again: every recorded call is kept",
        ) from e
