"""Spans: what is known of numbers that lie between two others."""

import numpy as np
import pytest

from engine.plan.spans import NOTHING, UNKNOWN, Span, exactly, mean_of, total


def test_sums_and_products_keep_both_ends():
    assert Span(1, 2) + Span(10, 20) == Span(11, 22)
    assert Span(1, 2) * Span(10, 20) == Span(10, 40)
    assert total([exactly(3), Span(0, 1)]) == Span(3, 4)
    assert total([]) == NOTHING


def test_an_unknown_end_stays_unknown_but_for_nothing():
    assert (Span(1, None) + exactly(2), Span(2, None) * exactly(3)) == (Span(3, None), Span(6, None))
    assert NOTHING * UNKNOWN == NOTHING
    assert (UNKNOWN.unknown, Span(1, None).unknown, NOTHING.unknown) == (True, False, False)


def test_cuts():
    assert Span(5, 9).less(6) == Span(0, 3)
    assert Span(5, None).less(2) == Span(3, None)
    assert Span(5, None).up_to(exactly(3)) == exactly(3)
    assert Span(2, 9).within(Span(4, 6)) == Span(4, 6)
    assert Span(8, 9).within(Span(4, 6)) == exactly(6), "what is certain wins"
    assert Span(1.2, 3.4).whole() == Span(1, 4)


def test_a_mean_of_further_numbers_by_hand():
    sample = np.array([8.0, 10.0, 12.0, 10.0])  # mean 10, s = sqrt(8/3)
    half = 3 * (8 / 3) ** 0.5 * (1 / 4 + 1 / 12) ** 0.5
    found = mean_of(sample, 12)
    assert (found.low, found.high) == pytest.approx((10 - half, 10 + half))
    assert mean_of(np.full(50, 40.0), 1000) == Span(38, 42), "five per cent at least"
    assert mean_of(np.array([4.0]), 9).low == 0, "one number tells no spread"
    assert mean_of(np.zeros(0), 9) == UNKNOWN


def test_the_span_holds_the_mean_of_draws():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        draws = rng.lognormal(3, 0.5, 1020)
        span = mean_of(draws[:20], 1000)
        held += span.low <= draws[20:].mean() <= (span.high or 0)
    assert held >= 190
