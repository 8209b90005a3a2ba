"""Time-outs of many tasks that all may take equally long, by one timer: whoever began first is late first.

A timer for each task (`asyncio.timeout`) would cost a tenth of a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import takewhile
from typing import Any, TypeVar

T = TypeVar("T")
AnyTask = asyncio.Task[Any]


class Deadlines:
    """Tasks on the clock; used inside one event loop.

    Args:
        seconds: how long each may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[AnyTask, float] = {}  # when each is late, in that order
        self._late: set[AnyTask] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def keep(self, work: Awaitable[T]) -> T:
        """What `work` returns.

        Raises:
            TimeoutError: it took too long, and was cancelled.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        asked_before = task.cancelling()
        self._running[task] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() <= asked_before:  # nobody else wants it cancelled
                raise TimeoutError from None
            raise
        finally:
            self._running.pop(task, None)
            self._late.discard(task)

    def _look(self) -> None:
        """Cancel whoever is late, and look again when the next one is due."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task, _ in list(takewhile(lambda running: running[1] <= now, self._running.items())):
            del self._running[task]
            self._late.add(task)
            task.cancel()
        due = next(iter(self._running.values()), None)
        self._timer = None if due is None else loop.call_at(due, self._look)
