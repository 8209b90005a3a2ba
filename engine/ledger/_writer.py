"""The thread that writes calls: everything that is queued goes into one transaction, whose end wakes those who wait."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from engine.errors import StoreError
from engine.ledger._table import Call, connect, disk, insert

GATHER_S = 0.002
"""How long the writer waits for more before it commits: a commit's cost is the sync, whatever it holds."""

Entry = tuple[Sequence[Call], "asyncio.Future[None]"]


class Writer:
    """Begins with the first call that is written; `write` is called from one event loop at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def write(self, calls: Sequence[Call]) -> None:
        """Returns when the calls are on disk; raises `StoreError` where it refuses them."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
            self._thread.start()
        done = asyncio.get_running_loop().create_future()
        self._queue.put((calls, done))
        await done

    def close(self) -> None:
        """Write what is queued and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        con = connect(self._path)
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
                failure = self._commit(con, [call for calls, _ in entries for call in calls])
                _tell([done for _, done in entries], failure)
        con.close()

    def _commit(self, con: sqlite3.Connection, calls: Sequence[Call]) -> StoreError | None:
        try:
            with disk(self._path):
                con.execute("BEGIN IMMEDIATE")
                try:
                    insert(con, calls, time.time())
                    con.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):
                        con.execute("ROLLBACK")
                    raise
        except StoreError as failure:
            return failure
        return None


def _tell(waiting: Sequence[asyncio.Future[None]], failure: StoreError | None) -> None:
    """Wake the coroutines that wait for a commit, by one call into their loop."""

    def settle() -> None:
        for done in waiting:
            if not done.done():
                done.set_result(None) if failure is None else done.set_exception(failure)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        waiting[0].get_loop().call_soon_threadsafe(settle)
