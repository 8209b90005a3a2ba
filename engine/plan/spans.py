"""Numbers that are only known to lie between two others, and how they add and multiply.

A plan's rows, calls and tokens are spans. What is counted, and how, is `estimate`'s business.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

ERRORS = 3
"""Standard errors on either side of a mean that is taken over from a sample."""

LEAST = 0.05
"""Half the width of a learned span at least, as a share of the mean: a sample is never the whole."""


@dataclass(frozen=True)
class Span:
    """At least `low` and at most `high`; None where there is no upper bound that is known."""

    low: float = 0
    high: float | None = 0

    @property
    def exact(self) -> bool:
        """Whether both ends are one number."""
        return self.low == self.high

    @property
    def unknown(self) -> bool:
        """Whether nothing is known."""
        return self.low == 0 and self.high is None

    def __add__(self, other: Span) -> Span:
        high = None if self.high is None or other.high is None else self.high + other.high
        return Span(self.low + other.low, high)

    def __mul__(self, other: Span) -> Span:
        if 0 in (self.high, other.high):
            return NOTHING
        high = None if self.high is None or other.high is None else self.high * other.high
        return Span(self.low * other.low, high)

    def less(self, other: float) -> Span:
        """With a number taken off both ends, and never below zero."""
        return Span(max(self.low - other, 0), None if self.high is None else max(self.high - other, 0))

    def up_to(self, other: Span) -> Span:
        """The lesser of two numbers."""
        return Span(min(self.low, other.low), min((h for h in (self.high, other.high) if h is not None), default=None))

    def within(self, bounds: Span) -> Span:
        """Cut to bounds that are certain."""
        high = self.high if bounds.high is None else bounds.high if self.high is None else min(self.high, bounds.high)
        low = max(self.low, bounds.low)
        return Span(low if high is None else min(low, high), high)

    def whole(self) -> Span:
        """With whole numbers at its ends, rounded outwards."""
        return Span(math.floor(self.low + 1e-9), None if self.high is None else math.ceil(self.high - 1e-9))


NOTHING = Span(0, 0)
UNKNOWN = Span(0, None)


def exactly(number: float) -> Span:
    """A number that is known."""
    return Span(number, number)


def total(spans: Iterable[Span]) -> Span:
    """The sum."""
    return sum(spans, NOTHING)


def mean_of(sample: np.ndarray, further: float | None) -> Span:
    """Where the mean of `further` numbers will lie that are drawn as those of a sample were.

    The mean plus or minus `ERRORS` standard errors of prediction, s * sqrt(1/n + 1/further), and at least `LEAST` of
    it; the spread of a sample of one is unknown and taken to be the number itself.
    """
    n = len(sample)
    if n == 0:
        return UNKNOWN
    mean = float(sample.mean())
    spread = float(sample.std(ddof=1)) if n > 1 else abs(mean)
    half = ERRORS * spread * math.sqrt(1 / n + 1 / max(further or n, 1))
    half = max(half, LEAST * mean)
    return Span(max(mean - half, 0), mean + half)
