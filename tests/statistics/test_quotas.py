from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SetwrightError
from engine.statistics.quotas import quotas, tempered


def divided(budget, weights, room, least=0):
    return quotas(budget, np.array(weights), np.array(room), least).tolist()


@pytest.mark.parametrize(
    ("budget", "weights", "room", "expected"),
    [
        (9, [1, 1, 1], [9, 9, 9], [3, 3, 3]),
        (10, [1, 1, 1], [9, 9, 9], [4, 3, 3]),  # equal remainders: the first group gets the odd one
        (11, [1, 1, 1], [9, 9, 9], [4, 4, 3]),
        (10, [5, 3, 1], [9, 9, 9], [6, 3, 1]),  # 5.55, 3.33, 1.11: the largest remainder
        (10, [1, 1, 1], [2, 9, 9], [2, 4, 4]),  # what the first has no room for goes to the others
        (10, [6, 3, 1], [3, 9, 9], [3, 5, 2]),  # 7 left over 3 : 1 = 5.25 and 1.75
        (10, [6, 3, 1], [3, 4, 9], [3, 4, 3]),  # which fills the second, too
        (20, [6, 3, 1], [3, 4, 9], [3, 4, 9]),  # more than there is: all of it
        (3, [1, 1, 1, 1, 1], [9] * 5, [1, 1, 1, 0, 0]),
        (4, [1, 0, 1], [9, 9, 1], [3, 0, 1]),  # no weight, no rows
        (0, [1, 2], [3, 3], [0, 0]),
        (5, [1, 1], [0, 0], [0, 0]),
        (5, [], [], []),
    ],
)
def test_by_hand(budget, weights, room, expected):
    assert divided(budget, weights, room) == expected


@pytest.mark.parametrize(
    ("least", "expected"),
    [(0, [9, 1, 0]), (1, [8, 1, 1]), (2, [6, 2, 2]), (3, [5, 3, 2])],  # the last one has no more than 2
)
def test_minima_come_first(least, expected):
    assert divided(10, [90, 9, 1], [90, 9, 2], least) == expected


def test_a_group_without_a_weight_has_no_minimum():
    assert divided(10, [1, 0, 1], [90, 90, 90], 3) == [5, 0, 5]


def test_minima_above_the_budget_are_refused():
    with pytest.raises(SetwrightError, match="3 groups of at least 4 need 12, and the budget is 11"):
        divided(11, [1, 1, 1], [9, 9, 9], 4)


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [(0, [1, 1, 0, 1]), (1, [100, 4, 0, 1]), (0.5, [10, 2, 0, 1]), (0.25, [10**0.5, 2**0.5, 0, 1])],
)
def test_tempered_sizes(alpha, expected):
    assert tempered(np.array([100, 4, 0, 1]), alpha) == pytest.approx(expected)


def exactly(budget, weights, room, least):
    """The same in fractions: groups are set to a bound one after the other until all others lie within theirs."""
    high = [r if w else 0 for w, r in zip(weights, room, strict=True)]
    low = [min(least, h) for h in high]
    total = min(budget, sum(high))
    level = max((Fraction(h, w) for w, h in zip(weights, high, strict=True) if w), default=Fraction(0))
    bends = sorted({Fraction(b, w) for w, lo, h in zip(weights, low, high, strict=True) if w for b in (lo, h)})

    def at(x):
        return [min(max(x * w, Fraction(lo)), Fraction(h)) for w, lo, h in zip(weights, low, high, strict=True)]

    for one, other in pairwise(bends):  # a straight line between two bends
        first, second = sum(at(one)), sum(at(other))
        if first <= total <= second and first < second:
            level = one + (other - one) * (total - first) / (second - first)
            break
    ideal = at(level)
    whole = [int(x) for x in ideal]
    for i in sorted(range(len(ideal)), key=lambda i: (whole[i] - ideal[i], i))[: total - sum(whole)]:
        whole[i] += 1
    return whole


groups = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=7)


@given(groups=groups, budget=st.integers(0, 120), least=st.integers(0, 3))
def test_equals_the_division_in_fractions(groups, budget, least):
    weights, room = [w for w, _ in groups], [r for _, r in groups]
    needed = sum(min(least, r) for w, r in groups if w)
    if needed > budget:
        with pytest.raises(SetwrightError):
            divided(budget, weights, room, least)
        return
    assert divided(budget, weights, room, least) == exactly(budget, weights, room, least)


@given(groups=groups, budget=st.integers(0, 120))
def test_nothing_is_given_away_that_is_not_there(groups, budget):
    weights, room = [w + 1 for w, _ in groups], [r for _, r in groups]
    given_out = divided(budget, weights, room)
    assert sum(given_out) == min(budget, sum(room))
    assert all(0 <= x <= r for x, r in zip(given_out, room, strict=True))


def test_many_groups_of_very_different_weights():
    rng = np.random.default_rng(3)
    room = (10 ** rng.uniform(0, 7, 100_000)).astype(np.int64)
    for alpha in (0, 0.3, 1):
        given_out = quotas(10**10, tempered(room, alpha), room)
        assert given_out.sum() == 10**10
        assert (given_out <= room).all()
        assert (given_out >= 0).all()
    shares = 10 ** rng.uniform(-9, 0, 100_000)
    assert quotas(10**12, shares, np.full(100_000, 10**9)).sum() == 10**12


def test_proportional_is_exact_where_it_comes_out_even():
    room = np.array([10, 250, 3, 4000, 77])
    assert quotas(room.sum() * 7, tempered(room, 1), room * 10).tolist() == (room * 7).tolist()
