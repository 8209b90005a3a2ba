import asyncio
import math
from collections import deque

import pytest

from engine.models._limiter import DOWN_AFTER, Limiter, Outcome, OutOfPatienceError, Turnstile


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def start(limiter, count):
    return [limiter.start() for _ in range(count)]


def test_as_many_calls_as_the_ceiling_are_let_in(clock):
    limiter = Limiter(2, clock)
    permits = start(limiter, 2)
    assert limiter.delay() == math.inf
    limiter.finish(permits[0], Outcome.WITHDRAWN)
    assert limiter.delay() == 0


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.TIMED_OUT])
def test_a_burst_of_refusals_is_one_cut(clock, outcome):
    limiter = Limiter(100, clock)
    permits = start(limiter, 100)
    limiter.finish(permits[0], outcome)
    limiter.finish(permits[1], Outcome.ANSWERED)  # while the limit is overfull, an answer lets it grow
    grown = limiter.limit
    for permit in permits[2:10]:
        limiter.finish(permit, outcome)
    assert limiter.limit == grown == 70 + 6.25 / 70


def test_the_limit_is_cut_again_by_a_call_that_started_after_the_cut(clock):
    limiter = Limiter(100, clock)
    for cuts in range(1, 4):
        permits = start(limiter, 2)
        limiter.finish(permits[0], Outcome.THROTTLED)
        limiter.finish(permits[1], Outcome.THROTTLED)
        assert limiter.limit == pytest.approx(100 * 0.7**cuts)


def test_errors_of_the_server_do_not_cut(clock):
    limiter = Limiter(100, clock)
    limiter.finish(limiter.start(), Outcome.FAILED)
    assert limiter.limit == 100


def test_the_limit_never_falls_below_one_nor_rises_above_the_ceiling(clock):
    limiter = Limiter(2, clock)
    for _ in range(10):
        limiter.finish(limiter.start(), Outcome.THROTTLED)
    assert limiter.limit == 1
    for _ in range(100):
        for permit in start(limiter, int(limiter.limit)):
            limiter.finish(permit, Outcome.ANSWERED)
    assert limiter.limit == 2


def test_a_full_round_trip_adds_a_sixteenth_of_the_limit_before_the_cut(clock):
    limiter = Limiter(160, clock)
    limiter.finish(limiter.start(), Outcome.THROTTLED)
    assert limiter.limit == 112
    running = deque(start(limiter, 112))
    for _ in range(112):  # each answer makes room for the next call, so the limit stays full
        limiter.finish(running.popleft(), Outcome.ANSWERED)
        while limiter.delay() == 0:
            running.append(limiter.start())
    assert limiter.limit == pytest.approx(112 + 10, rel=0.01)


def test_a_limit_no_more_than_half_used_does_not_grow(clock):
    limiter = Limiter(100, clock)
    limiter.finish(limiter.start(), Outcome.THROTTLED)
    for _ in range(100):
        for permit in start(limiter, 35):
            limiter.finish(permit, Outcome.ANSWERED)
    assert limiter.limit == 70


@pytest.mark.parametrize("capacity", [4, 40, 200])
def test_the_limit_settles_at_what_the_server_takes(clock, capacity):
    """A server that refuses what is over its capacity, one round trip late, answers come in the order of the calls."""
    limiter = Limiter(256, clock)
    running, busy, limits, refused = deque(), 0, [], 0
    for turn in range(20_000):
        while limiter.delay() == 0:
            taken = busy < capacity
            busy += taken
            running.append((limiter.start(), taken))
        permit, taken = running.popleft()
        busy -= taken
        limiter.finish(permit, Outcome.ANSWERED if taken else Outcome.THROTTLED)
        if turn >= 10_000:
            limits.append(limiter.limit)
            refused += not taken
    assert capacity * 0.7 <= min(limits)
    assert max(limits) <= capacity * 1.1 + 2
    assert refused / len(limits) < 0.12
    assert not limiter.down


def test_retry_after_pauses_every_call(clock):
    limiter = Limiter(10, clock)
    permits = start(limiter, 2)
    limiter.finish(permits[0], Outcome.THROTTLED, retry_after=5)
    limiter.finish(permits[1], Outcome.ANSWERED)
    assert limiter.delay() == 5
    clock.now = 4
    assert limiter.delay() == 1
    clock.now = 5
    assert limiter.delay() == 0


def test_an_unreachable_endpoint_is_probed_by_one_call_at_a_time_ever_more_rarely(clock):
    limiter = Limiter(10, clock)
    old = start(limiter, 2)
    limiter.finish(old[0], Outcome.UNREACHABLE)
    pauses = []
    for _ in range(8):
        pauses.append(limiter.delay())
        clock.now += pauses[-1]
        probe = limiter.start()
        assert limiter.delay() == math.inf
        limiter.finish(probe, Outcome.UNREACHABLE)
    assert pauses == [0.25, 0.5, 1, 2, 4, 8, 10, 10]
    assert limiter.down_for == clock.now
    limiter.finish(old[1], Outcome.ANSWERED)
    assert not limiter.down
    assert limiter.delay() == 0
    assert limiter.limit == 10


def test_a_cancelled_probe_makes_room_for_the_next(clock):
    limiter = Limiter(10, clock)
    limiter.finish(limiter.start(), Outcome.UNREACHABLE)
    clock.now = 1
    limiter.finish(limiter.start(), Outcome.WITHDRAWN)
    assert limiter.down
    assert limiter.delay() == 0


def test_many_failures_in_a_row_mean_down_and_one_answer_between_does_not(clock):
    limiter = Limiter(100, clock)
    for i in range(2 * DOWN_AFTER - 1):
        limiter.finish(limiter.start(), Outcome.ANSWERED if i == DOWN_AFTER - 1 else Outcome.FAILED)
    assert not limiter.down
    limiter.finish(limiter.start(), Outcome.FAILED)
    assert limiter.down


def test_callers_are_let_in_in_their_order_and_a_cancelled_one_is_passed_over():
    async def main():
        gate = Turnstile(Limiter(1), patience_s=10)
        first = await gate.enter()
        order = []

        async def caller(name):
            permit = await gate.enter()
            order.append(name)
            gate.leave(permit, Outcome.ANSWERED)

        tasks = [asyncio.create_task(caller(name)) for name in "abc"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        gate.leave(first, Outcome.ANSWERED)
        await asyncio.gather(*tasks, return_exceptions=True)
        return order

    assert asyncio.run(main()) == ["a", "c"]


def test_a_caller_cancelled_in_the_turn_it_is_let_in_gives_its_place_on():
    async def main():
        gate = Turnstile(Limiter(1), patience_s=10)
        first = await gate.enter()
        waiting = [asyncio.create_task(gate.enter()) for _ in range(2)]
        await asyncio.sleep(0)
        gate.leave(first, Outcome.ANSWERED)  # lets the first one in,
        waiting[0].cancel()  # which is cancelled before it runs
        return await asyncio.wait_for(waiting[1], 5)

    assert asyncio.run(main()) == 3


def test_who_waits_for_a_dead_endpoint_gives_up_when_patience_ends():
    async def main():
        gate = Turnstile(Limiter(1), patience_s=0.3)
        gate.leave(await gate.enter(), Outcome.UNREACHABLE)
        waiting = [asyncio.create_task(gate.enter()) for _ in range(3)]
        probe = await waiting[0]  # after 0.25 s
        await asyncio.sleep(0.1)
        gate.leave(probe, Outcome.UNREACHABLE)
        return await asyncio.gather(*waiting[1:], return_exceptions=True)

    assert [str(e) for e in asyncio.run(main())] == ["no answer for 0 s"] * 2


def test_a_pause_beyond_patience_is_not_waited_for():
    async def main():
        gate = Turnstile(Limiter(1), patience_s=5)
        gate.leave(await gate.enter(), Outcome.THROTTLED, retry_after=3600)
        await gate.enter()

    with pytest.raises(OutOfPatienceError, match="no calls for another 3600 s"):
        asyncio.run(main())
