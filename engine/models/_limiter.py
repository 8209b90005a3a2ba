"""How many calls may be in flight to one endpoint, and when: the state (`Limiter`) and the queue (`Turnstile`).

The limiter is plain arithmetic over a clock that is handed in. Neither class knows HTTP.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import NewType

CUT = 0.7  # what is left of the limit after a refusal: TCP CUBIC's factor, RFC 9438, section 4.6
ROUND_TRIPS = 16  # a cut limit grows by 1/16 of its old size a round trip, by 1 at least
DOWN_AFTER = 16  # failures with no answer between, from which on the endpoint is taken for down
FIRST_PROBE_S, LAST_PROBE_S = 0.25, 10.0  # the pause before a probe doubles from the one to the other


class Outcome(Enum):
    """How a call ended, as far as the endpoint is concerned."""

    ANSWERED = auto()  # by a refusal of a bad request too: the server works
    FAILED = auto()  # an error of the server, a cut connection, an unreadable answer
    TIMED_OUT = auto()
    THROTTLED = auto()  # the server asks for fewer calls
    UNREACHABLE = auto()  # no connection
    WITHDRAWN = auto()  # cancelled by the caller: tells nothing


Permit = NewType("Permit", int)
"""The right to have one call in flight: its number among the calls started, from 1."""


class Limiter:
    """Additive increase, multiplicative decrease, pauses, and a single probe at a time while the endpoint is down.

    A refusal or a time-out cuts the limit once a round trip: calls that had started before the last cut tell nothing
    about the new limit, so a burst of refusals is one cut. The limit starts at the ceiling and never falls below 1.

    Args:
        ceiling: the most calls in flight.
        clock: seconds, monotonic.
    """

    def __init__(self, ceiling: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = float(ceiling)
        self.in_flight = 0
        self.down_since: float | None = None
        self._ceiling = float(ceiling)
        self._clock = clock
        self._started = 0
        self._started_at_cut = 0
        self._step = 1.0
        self._failures = 0  # since the last answer
        self._paused_until = -math.inf
        self._probe: Permit | None = None
        self._probe_at = -math.inf
        self._probe_pause = FIRST_PROBE_S

    @property
    def down(self) -> bool:
        """Whether the endpoint is taken for down: single probes only."""
        return self.down_since is not None

    @property
    def down_for(self) -> float:
        """Seconds since the endpoint was found down; 0 while it is up."""
        return 0.0 if self.down_since is None else self._clock() - self.down_since

    @property
    def paused_for(self) -> float:
        """Seconds for which the server still wants no calls."""
        return max(0.0, self._paused_until - self._clock())

    def delay(self) -> float:
        """Seconds until a call may start; infinity where first one in flight must end."""
        if self.down_since is None:
            return math.inf if self.in_flight >= int(self.limit) else self.paused_for
        return math.inf if self._probe is not None else max(self.paused_for, self._probe_at - self._clock())

    def start(self) -> Permit:
        """Count a call in; only when `delay()` is 0."""
        self.in_flight += 1
        self._started += 1
        permit = Permit(self._started)
        if self.down_since is not None:
            self._probe = permit
        return permit

    def finish(self, permit: Permit, outcome: Outcome, retry_after: float = 0.0) -> None:
        """Count a call out. `retry_after`: seconds for which the server wants no calls at all."""
        tested = self.in_flight > self.limit / 2
        self.in_flight -= 1
        probed = permit == self._probe
        if probed:
            self._probe = None
        if retry_after > 0:
            self._paused_until = max(self._paused_until, self._clock() + retry_after)
        if outcome is Outcome.ANSWERED:
            self._failures, self.down_since, self._probe_pause = 0, None, FIRST_PROBE_S
            if tested:  # a limit less than half used is not put to the test (RFC 7661, section 4.3): it doesn't grow
                self.limit = min(self._ceiling, self.limit + self._step / self.limit)
        elif outcome is not Outcome.WITHDRAWN:
            self._fail(permit, outcome, probed)

    def _fail(self, permit: Permit, outcome: Outcome, probed: bool) -> None:
        overload = outcome in (Outcome.THROTTLED, Outcome.TIMED_OUT)
        news = not overload or permit > self._started_at_cut
        if overload and news:
            self._step = max(1.0, self.limit / ROUND_TRIPS)
            self.limit = max(1.0, self.limit * CUT)
            self._started_at_cut = self._started
        self._failures += news
        found_down = self.down_since is None and (outcome is Outcome.UNREACHABLE or self._failures >= DOWN_AFTER)
        if found_down:
            self.down_since = self._clock()
        if found_down or probed:
            self._probe_at = self._clock() + self._probe_pause
            self._probe_pause = min(LAST_PROBE_S, 2 * self._probe_pause)


class OutOfPatienceError(Exception):
    """The endpoint is down, or wants no calls, for longer than callers are willing to wait."""


class Turnstile:
    """Callers wait here, first come first served, until the limiter lets them start.

    Args:
        limiter: decides when.
        patience_s: how long callers wait for an endpoint that is down or wants no calls.
    """

    def __init__(self, limiter: Limiter, patience_s: float) -> None:
        self._limiter = limiter
        self._patience_s = patience_s
        self._queue: deque[asyncio.Future[Permit]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self) -> Permit:
        """Wait for a permit; give it back with `leave`.

        Raises:
            OutOfPatienceError: the wait is, or will be, longer than `patience_s`.
        """
        if not self._queue and self._limiter.delay() == 0:
            return self._limiter.start()
        turn: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._admit()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:  # admitted and cancelled in one turn
                self.leave(turn.result(), Outcome.WITHDRAWN)
            raise

    def leave(self, permit: Permit, outcome: Outcome, retry_after: float = 0.0) -> None:
        """Give a permit back and let the next callers in."""
        self._limiter.finish(permit, outcome, retry_after)
        self._admit()

    def _admit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._queue:
            return
        if self._limiter.down_for > self._patience_s:
            self._give_up(f"no answer for {self._limiter.down_for:.0f} s")
        elif self._limiter.paused_for > self._patience_s:
            self._give_up(f"the server wants no calls for another {self._limiter.paused_for:.0f} s")
        while self._queue:
            delay = self._limiter.delay()
            if 0 < delay < math.inf:
                self._timer = asyncio.get_running_loop().call_later(delay, self._admit)
            if delay > 0:
                return
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(self._limiter.start())

    def _give_up(self, reason: str) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_exception(OutOfPatienceError(reason))
