"""One timer for many tasks: who is late is told so, and nobody else."""

import asyncio

import pytest

from engine.models._deadlines import Deadlines


async def keep(deadlines, work):
    with deadlines:
        return await work


def test_who_is_late_is_cancelled_and_the_others_are_left_alone():
    async def scenario():
        deadlines = Deadlines(0.1)
        ended = []

        async def work(seconds):
            try:
                await asyncio.sleep(seconds)
            finally:
                ended.append(seconds)
            return seconds

        outcomes = await asyncio.gather(*(keep(deadlines, work(s)) for s in (9, 0, 8)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [TimeoutError, int, TimeoutError]
        assert ended == [0, 9, 8]

    asyncio.run(scenario())


def test_the_clock_of_each_begins_when_it_begins():
    async def scenario():
        deadlines = Deadlines(0.5)

        async def later():
            await asyncio.sleep(0.25)
            return await keep(deadlines, asyncio.sleep(0.4, "done"))  # after the other is late, before this one is

        first, second = await asyncio.gather(keep(deadlines, asyncio.sleep(9)), later(), return_exceptions=True)
        assert (type(first), second) == (TimeoutError, "done")
        with pytest.raises(TimeoutError):  # after all have ended the next one is on the clock again
            await keep(deadlines, asyncio.sleep(9))

    asyncio.run(scenario())


def test_a_cancelled_task_is_cancelled_and_not_late():
    async def scenario():
        deadlines = Deadlines(0.05)
        task = asyncio.create_task(keep(deadlines, asyncio.sleep(9)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_a_task_that_is_late_and_cancelled_is_cancelled():
    async def scenario():
        deadlines = Deadlines(0.05)

        async def slow_to_end():
            try:
                await asyncio.sleep(9)
            finally:
                task.cancel()  # comes while the time-out unwinds

        task = asyncio.create_task(keep(deadlines, slow_to_end()))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_who_was_late_may_go_on():
    async def scenario():
        deadlines = Deadlines(0.05)
        with pytest.raises(TimeoutError):
            await keep(deadlines, asyncio.sleep(9))
        assert asyncio.current_task().cancelling() == 0
        await asyncio.sleep(0)
        assert await keep(deadlines, asyncio.sleep(0, "done")) == "done"

    asyncio.run(scenario())
