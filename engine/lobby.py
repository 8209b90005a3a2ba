"""Where calls wait before they are sent: for the ledger, which may know the answer, and for a free slot.

All calls that come in one turn of the event loop are looked up together. What is asked is not known here.
"""

from __future__ import annotations

import asyncio
from collections import deque

from engine.ledger import Found, Ledger


class Lobby:
    """Calls on their way to a backend; used inside one event loop.

    Args:
        ledger: where answers are looked up.
        slots: how many calls may be out at once.
    """

    def __init__(self, ledger: Ledger, slots: int) -> None:
        self._ledger = ledger
        self._free = slots
        self._arrived: list[tuple[bytes, asyncio.Future[Found | None]]] = []
        self._queue: deque[asyncio.Future[Found | None]] = deque()

    async def enter(self, id_: bytes) -> Found | None:
        """The recorded answer of a call, or None as soon as it holds a slot: give that back with `leave`."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Found | None] = loop.create_future()
        if not self._arrived:
            loop.call_soon(self._look_up)
        self._arrived.append((id_, turn))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and not turn.exception() and turn.result() is None:
                self.leave()  # let in and cancelled in one turn of the loop
            raise

    def leave(self) -> None:
        """Give a slot back and let the next call in."""
        self._free += 1
        self._admit()

    def _look_up(self) -> None:
        """Hand out what the ledger knows of those that came; the others queue."""
        arrived, self._arrived = self._arrived, []
        try:
            found = self._ledger.find([id_ for id_, _ in arrived])
        except Exception as error:  # which is raised where each call is made
            for _, turn in arrived:
                if not turn.done():
                    turn.set_exception(error)
            return
        for id_, turn in arrived:
            if id_ not in found:
                self._queue.append(turn)
            elif not turn.done():
                turn.set_result(found[id_])
        self._admit()

    def _admit(self) -> None:
        while self._free and self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)
