"""The local runner: shards on threads. polars, DuckDB, Arrow and NumPy leave the GIL, so threads use all cores."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from engine.stop import Stop
from engine.work.job import Shard


class LocalRunner:
    """Runs shards on `workers` threads (default: one for each core)."""

    def __init__(self, workers: int | None, stop: Stop) -> None:
        self.workers = workers or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="shard")
        self._stop = stop

    async def map(self, fn: Callable[[Shard], int], shards: Iterable[Shard]) -> AsyncIterator[int]:
        """What `fn` returns for each shard, as it is done."""
        loop = asyncio.get_running_loop()

        def unless_stopped(shard: Shard) -> int:
            return 0 if self._stop.requested else fn(shard)

        waiting = [loop.run_in_executor(self._pool, unless_stopped, shard) for shard in shards]
        for done in asyncio.as_completed(waiting):
            yield await done

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
