"""The ledger: every model call, addressed by its content, in SQLite.

A call's id is the digest of (model identity, kind of call, rendered request, draw). An answer is on disk (committed
and synced) before the operator that asked sees it. Answers that arrive together share one commit, in a thread of
its own, so that the event loop never waits for the disk. SQLite's WAL keeps it whole through a SIGKILL or a full disk.

What is asked, and of whom, is not known here (`calls`); nor is the catalog, which reads the mirror in Parquet.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.ledger._mirror import mirror
from engine.ledger._table import TABLE, Call, Found, connect, disk, find
from engine.ledger._writer import Writer

__all__ = ["Call", "Found", "Ledger"]


class Ledger:
    """The calls of a home. Open it once a process; `record` is awaited from one event loop at a time."""

    def __init__(self, home: Path) -> None:
        self.path = home / "ledger.sqlite"
        with disk(self.path):
            home.mkdir(parents=True, exist_ok=True)
            self._reader = connect(self.path)
            self._reader.executescript(TABLE)
        self._writer = Writer(self.path)

    def find(self, ids: Iterable[bytes]) -> dict[bytes, Found]:
        """The answers that are there for these ids; of many at once, one costs a microsecond or two."""
        return find(self._reader, list(ids))

    def usage(self, ids: Iterable[bytes]) -> list[tuple[int, int, int]]:
        """Of each answered call: tokens in and out (0 where they weren't told) and the characters of its request."""
        query = (
            "SELECT coalesce(tokens_in, 0), coalesce(tokens_out, 0), length(request) "
            "FROM calls WHERE id = ? AND error IS NULL"
        )
        cursor = self._reader.cursor()
        found = (cursor.execute(query, (id_,)).fetchone() for id_ in ids)
        return [row for row in found if row is not None]

    def record(self, calls: Sequence[Call]) -> Coroutine[Any, Any, None]:
        """To be awaited until the calls are on disk.

        Raises:
            StoreError: the disk refuses; nothing that was recorded before is lost.
        """
        return self._writer.write(calls)

    def mirror(self, folder: Path, batch_rows: int = 50_000) -> None:
        """Bring the Parquet mirror in `folder` up to date."""
        with disk(folder):
            mirror(self._reader, folder, batch_rows)

    def count(self) -> int:
        """Answered calls."""
        return int(self._reader.execute("SELECT count(*) FROM calls WHERE error IS NULL").fetchone()[0])

    def close(self) -> None:
        """Write what is queued and close."""
        self._writer.close()
        self._reader.close()
