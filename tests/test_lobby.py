"""Calls wait for the ledger and for a slot: what is known needs none, and none is ever lost."""

import asyncio

import pytest

from engine.errors import StoreError
from engine.lobby import Lobby


class Known:
    """A ledger's look-ups: what it knows, and what it was asked each time."""

    def __init__(self, *ids):
        self.known, self.asked = set(ids), []

    def find(self, ids):
        self.asked.append(ids)
        return dict.fromkeys(self.known & set(ids), ("{}", None))


def tasks(lobby, *ids):
    return [asyncio.create_task(lobby.enter(id_)) for id_ in ids]


async def turns_of_the_loop(count=3):
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_comes_together_is_looked_up_together_and_what_is_known_needs_no_slot():
    async def scenario():
        ledger = Known(b"b", b"d")
        lobby = Lobby(ledger, slots=1)
        waiting = tasks(lobby, b"a", b"b", b"c", b"d")
        await turns_of_the_loop()
        assert ledger.asked == [[b"a", b"b", b"c", b"d"]]
        assert [task.done() for task in waiting] == [True, True, False, True]
        lobby.leave()
        assert await asyncio.wait_for(asyncio.gather(*waiting), 5) == [None, ("{}", None), None, ("{}", None)]

    asyncio.run(scenario())


def test_no_more_are_let_in_than_there_are_slots_and_in_their_order():
    async def scenario():
        lobby = Lobby(Known(), slots=2)
        waiting = tasks(lobby, *(bytes([i]) for i in range(5)))
        for let_in in (2, 3, 4, 5):
            await turns_of_the_loop()
            assert [task.done() for task in waiting] == [True] * let_in + [False] * (5 - let_in)
            lobby.leave()

    asyncio.run(scenario())


def test_who_is_cancelled_in_the_turn_it_is_let_in_gives_its_slot_on():
    async def scenario():
        lobby = Lobby(Known(), slots=1)
        first, second, third = tasks(lobby, b"a", b"b", b"c")
        await first
        lobby.leave()  # lets the second in,
        second.cancel()  # which is cancelled before it runs
        await asyncio.wait_for(third, 5)
        assert second.cancelled()

    asyncio.run(scenario())


def test_who_is_cancelled_while_waiting_takes_no_slot():
    async def scenario():
        lobby = Lobby(Known(), slots=1)
        first, second, third = tasks(lobby, b"a", b"b", b"c")
        await first
        second.cancel()
        await turns_of_the_loop()
        lobby.leave()
        await asyncio.wait_for(third, 5)

    asyncio.run(scenario())


def test_a_ledger_that_cannot_be_read_is_told_to_all_who_wait():
    class Broken:
        def find(self, _):
            raise StoreError("can't read")

    async def scenario():
        return await asyncio.gather(*tasks(Lobby(Broken(), 1), b"a", b"b"), return_exceptions=True)

    outcomes = asyncio.run(scenario())
    assert [str(outcome) for outcome in outcomes] == ["can't read"] * 2
    with pytest.raises(StoreError):
        raise outcomes[0]
