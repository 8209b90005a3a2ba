"""Rank statistics: by hand, against brute force and against SciPy and scikit-learn, which only tests need."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from engine.statistics.ranks import (
    agreement_rate,
    average_ranks,
    bradley_terry,
    cohen_kappa,
    gap_recovered,
    kendall,
    spearman,
    win_rate,
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_equal_values_share_the_mean_of_their_places():
    assert average_ranks([30, 10, 20, 10]).tolist() == [4, 1.5, 3, 1.5]
    assert average_ranks([]).tolist() == []


def test_kendall_by_hand():
    # Of the 10 pairs, 7 stand in one order and 1 in the other; 1 is tied in each list, and none in both.
    assert kendall([1, 2, 2, 3, 4], [1, 3, 2, 2, 5]) == pytest.approx((7 - 1) / 9)
    assert kendall([1, 2, 3], [1, 2, 3]) == 1
    assert kendall([1, 2, 3], [3, 2, 1]) == -1
    assert np.isnan(kendall([1, 1, 1], [1, 2, 3]))
    assert np.isnan(kendall([1], [1]))


def test_spearman_by_hand():
    # Ranks 1 2 3 4 and 2 1 4 3: 1 - 6 * 4 / (4 * 15).
    assert spearman([1, 2, 3, 4], [20, 10, 40, 30]) == pytest.approx(0.6)
    assert np.isnan(spearman([2, 2], [1, 2]))
    assert np.isnan(spearman([], []))


@pytest.mark.parametrize("n", [2, 3, 10, 257])
@pytest.mark.parametrize("kinds", [2, 5, 10_000])
def test_correlations_are_those_of_scipy(n, kinds):
    rng = np.random.default_rng(n + kinds)
    for _ in range(10):
        first, second = rng.integers(kinds, size=(2, n)) - kinds // 2
        if min(map(len, map(np.unique, (first, second)))) > 1:
            assert kendall(first, second) == pytest.approx(stats.kendalltau(first, second).statistic, abs=1e-12)
            assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)


def test_kendall_counts_pairs():
    rng = np.random.default_rng(4)
    for _ in range(50):
        first, second = rng.permutation(7), rng.permutation(7)
        signs = [np.sign((first[i] - first[j]) * (second[i] - second[j])) for i, j in combinations(range(7), 2)]
        assert kendall(first, second) == pytest.approx(sum(signs) / 21)


@pytest.mark.parametrize("correlation", [kendall, spearman])
def test_what_has_no_rank_is_refused(correlation):
    with pytest.raises(ValueError, match="NaN"):
        correlation([1, 2], [1, float("nan")])
    with pytest.raises(ValueError, match="one length"):
        correlation([1, 2], [1, 2, 3])


def test_agreement_and_kappa_by_hand():
    # Both say yes 20 times and no 15 times; 5 and 10 times they differ (Cohen's textbook table).
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert agreement_rate(first, second) == 0.7
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert np.isnan(cohen_kappa(["a", "a"], ["a", "a"]))
    assert np.isnan(agreement_rate([], []))


def test_kappa_is_that_of_scikit_learn_and_takes_resamples():
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(2)
    first = rng.integers(3, size=(4, 60))
    second = np.where(rng.random((4, 60)) < 0.6, first, rng.integers(3, size=(4, 60)))
    expected = [cohen_kappa_score(*pair) for pair in zip(first, second, strict=True)]
    assert cohen_kappa(first, second) == pytest.approx(expected, abs=1e-12)


def test_win_rates_with_ties():
    outcomes = np.repeat([1, 0, -1], [104, 22, 80])
    assert win_rate(outcomes) == pytest.approx((104 + 11) / 206)
    assert 2 * win_rate(outcomes) - 1 == pytest.approx(0.1165, abs=5e-5)
    assert win_rate([[1, 1], [0, -1]]).tolist() == [1, 0.25]


def test_the_gap_that_is_recovered():
    assert gap_recovered(0.6, 0.75, 0.8) == pytest.approx(0.75)
    assert gap_recovered(0.6, 0.5, 0.8) == pytest.approx(-0.5)
    assert np.isnan(gap_recovered(0.6, 0.7, 0.6))


def test_two_things_have_the_log_odds_of_their_wins():
    strengths = bradley_terry([[0, 3], [1, 0]])
    assert strengths[0] - strengths[1] == pytest.approx(np.log(3))
    assert strengths.sum() == pytest.approx(0)


def test_strengths_that_made_the_shares_are_found_again():
    worth = np.array([0.5, -1.2, 2.0, 0.1])
    played = np.array([[0, 5, 0, 7], [5, 0, 30, 2], [0, 30, 0, 1], [7, 2, 1, 0]])
    found = bradley_terry(played * sigmoid(worth[:, None] - worth))
    assert found == pytest.approx(worth - worth.mean(), abs=1e-6)


def test_the_likelihood_is_greatest():
    wins = np.random.default_rng(3).integers(1, 9, size=(5, 5))
    found = bradley_terry(wins)
    np.fill_diagonal(wins, 0)
    expected = ((wins + wins.T) * sigmoid(found[:, None] - found)).sum(axis=1)
    assert expected == pytest.approx(wins.sum(axis=1), abs=1e-6)  # where the gradient is zero


def test_what_always_wins_is_beyond_all_others():
    strengths = bradley_terry([[0, 2, 1, 1, 0], [0, 0, 3, 1, 0], [0, 1, 0, 2, 0], [0, 0, 0, 0, 0], [0] * 5])
    assert strengths[[0, 3]].tolist() == [np.inf, -np.inf]
    assert strengths[1] - strengths[2] == pytest.approx(np.log(3))
    assert np.isnan(strengths[4])


def test_groups_that_were_never_compared_are_refused():
    with pytest.raises(ValueError, match="groups"):
        bradley_terry(np.kron(np.eye(2), [[0, 1], [1, 0]]))
