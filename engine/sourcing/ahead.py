"""Running an iterator in a thread of its own, a few items ahead of whoever reads it.

So parsing, shaping and writing overlap: Arrow leaves the GIL in all three. Nothing here knows what the items are.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

DEPTH = 2
"""Items that wait at most: enough to overlap, few enough to keep memory bounded."""


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items in the same order; an error of the iterator is raised where its item would have come."""
    waiting: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(DEPTH)
    closed = threading.Event()

    def produce() -> None:
        try:
            for item in items:
                if not _put(waiting, (True, item), closed):
                    return
            _put(waiting, (False, None), closed)
        except BaseException as e:  # raised in the thread that reads
            _put(waiting, (False, e), closed)

    thread = threading.Thread(target=produce, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            more, item = waiting.get()
            if more:
                yield item  # type: ignore[misc]
            elif isinstance(item, BaseException):
                raise item
            else:
                return
    finally:
        closed.set()
        thread.join()


def _put(
    waiting: queue.Queue[tuple[bool, T | BaseException | None]],
    entry: tuple[bool, T | BaseException | None],
    closed: threading.Event,
) -> bool:
    """Wait for room, unless nobody reads any more."""
    while not closed.is_set():
        try:
            waiting.put(entry, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
