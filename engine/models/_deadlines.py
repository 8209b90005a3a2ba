"""Time-outs of many tasks that all may take equally long, by one timer: whoever began first is late first.

A timer for each task (`asyncio.timeout`) would cost a tenth of a call.
"""

from __future__ import annotations

import asyncio
from itertools import takewhile
from types import TracebackType
from typing import Any, NamedTuple

AnyTask = asyncio.Task[Any]


class _Clock(NamedTuple):
    """When a task is late, and how many had wanted it cancelled before it began."""

    due: float
    cancelling: int


class Deadlines:
    """Tasks on the clock; used inside one event loop.

    Any number of tasks may be in the block `with deadlines:`, each once. One that is late is cancelled, and raises
    TimeoutError at the end of its block.

    Args:
        seconds: how long each may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[AnyTask, _Clock] = {}  # in the order in which they are due
        self._late: dict[AnyTask, _Clock] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        loop, task = asyncio.get_running_loop(), _current()
        self._running[task] = _Clock(loop.time() + self._seconds, task.cancelling())
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        task = _current()
        if self._running.pop(task, None) is not None:
            return
        nobody_else = task.uncancel() <= self._late.pop(task).cancelling
        if nobody_else and kind is asyncio.CancelledError:
            raise TimeoutError from None

    def _look(self) -> None:
        """Cancel whoever is late, and look again when the next one is due."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task, _ in list(takewhile(lambda running: running[1].due <= now, self._running.items())):
            self._late[task] = self._running.pop(task)
            task.cancel()
        first = next(iter(self._running.values()), None)
        self._timer = None if first is None else loop.call_at(first.due, self._look)


def _current() -> AnyTask:
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    return task
