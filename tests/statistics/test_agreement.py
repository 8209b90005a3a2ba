"""Agreement of two rankings: by hand, against brute force, and with judges that err."""

from itertools import combinations, permutations

import numpy as np
import pytest

from engine.statistics.agreement import agreement, ranking_of, usable


def is_within(part, whole):
    """Whether `part` is a sub-sequence."""
    rest = iter(whole)
    return all(item in rest for item in part)


def by_brute_force(first, second):
    """Of the longest common sub-sequences, the one whose places in `first` come earliest."""
    for size in range(len(first), 0, -1):
        for part in combinations(first, size):  # in the order of their places
            if is_within(part, second):
                return list(part)
    return []


def test_the_cases_that_are_known_by_hand():
    assert agreement([2, 0, 1, 3], [0, 2, 1, 3]) == [2, 1, 3]
    assert agreement([1, 2, 0, 3], [1, 2, 0, 3]) == [1, 2, 0, 3]
    assert agreement([3, 2, 1, 0], [0, 1, 2, 3]) == [3]
    assert agreement([], []) == []


@pytest.mark.parametrize("n", range(1, 6))
def test_no_longer_agreement_exists_and_the_tie_rule_holds(n):
    first = list(range(n))
    for second in permutations(first):
        assert agreement(first, second) == by_brute_force(first, second)


def test_six_answers_in_any_pair_of_orders():
    rng = np.random.default_rng(3)
    for second in permutations(range(6)):
        first = rng.permutation(6).tolist()
        assert agreement(first, second) == by_brute_force(first, second)


def test_every_pair_has_the_same_order_in_both():
    rng = np.random.default_rng(5)
    for _ in range(200):
        first, second = (rng.permutation(8).tolist() for _ in range(2))
        for better, worse in combinations(agreement(first, second), 2):
            assert first.index(better) < first.index(worse)
            assert second.index(better) < second.index(worse)


def test_how_long_an_agreement_must_be():
    assert usable([2, 1, 3], 4, 3)
    assert not usable([2, 1], 4, 3)
    assert usable([1, 0], 2, 3)
    assert not usable([1], 2, 3)
    assert not usable([1, 0], 3, 3)
    assert usable([1, 0], 3, 2)


def test_ranking_of_scores():
    assert ranking_of([-1.0, -0.5, -2.0]) == [1, 0, 2]
    assert ranking_of([-1.0, -1.0, -0.1, -1.0]) == [2, 0, 1, 3]


def pairs_right(ranking):
    """Pairs in the order of their indices, which is the true one here, and all pairs."""
    pairs = list(combinations(ranking, 2))
    return sum(better < worse for better, worse in pairs), len(pairs)


@pytest.mark.parametrize(("weak", "expected"), [(1.0, 0.959), (2.5, 0.920)])
def test_two_judges_that_err_are_right_where_they_agree(weak, expected):
    rng = np.random.default_rng(17)
    worth = np.arange(5, 0, -1)
    first, second = (np.argsort(-worth - sd * rng.standard_normal((1000, 5))) for sd in (1.0, weak))
    rankings = {
        "first": first.tolist(),
        "second": second.tolist(),
        "agreed": [agreement(one, other) for one, other in zip(first.tolist(), second.tolist(), strict=True)],
    }
    right = {who: np.sum([pairs_right(one) for one in given], 0) for who, given in rankings.items()}
    accuracy = {who: hits / pairs for who, (hits, pairs) in right.items()}
    assert accuracy["agreed"] > max(accuracy["first"], accuracy["second"])
    assert accuracy["agreed"] == pytest.approx(expected, abs=0.02)
