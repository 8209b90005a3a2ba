import math
from itertools import product

import numpy as np
import pytest

from engine.statistics import intervals
from engine.statistics.intervals import Interval, bootstrap, bootstraps, difference, mean


def test_all_resamples_of_a_small_sample_bound_the_interval():
    values = np.array([0.0, 0.0, 3.0])
    means = [sum(drawn) / 3 for drawn in product(values, repeat=3)]  # all 27, equally likely
    low, high = np.quantile(means, [0.05, 0.95], method="inverted_cdf")
    found = bootstrap(values, mean, seed=3, resamples=20_000, level=0.9)
    assert found == Interval(1.0, low, high)


def test_an_interval_of_a_mean_is_that_of_the_central_limit():
    values = np.random.default_rng(0).normal(5, 2, 400)
    found = bootstrap(values, mean, seed=1, resamples=4000)
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=half / 10)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    rng = np.random.default_rng(7)
    found = [bootstrap(rng.exponential(1, 60), mean, seed=i, resamples=400) for i in range(300)]
    assert 0.9 <= np.mean([interval.low <= 1 <= interval.high for interval in found]) <= 0.98


def test_the_same_seed_draws_the_same_whatever_the_block(monkeypatch):
    values = np.random.default_rng(0).normal(size=101)
    whole = bootstrap(values, mean, seed=1)
    monkeypatch.setattr(intervals, "BLOCK", 700)
    assert bootstrap(values, mean, seed=1) == whole
    assert bootstrap(values, mean, seed=2) != whole


def test_a_statistic_of_indices_and_several_at_once():
    values = np.random.default_rng(0).normal(size=50)
    by_index = bootstrap(np.arange(50), lambda drawn: values[drawn].mean(axis=1), seed=1)
    both = bootstraps(values, lambda drawn: np.stack([drawn.mean(axis=1), np.median(drawn, axis=1)], axis=1), seed=1)
    assert by_index == both[0] == bootstrap(values, lambda drawn: drawn.mean(axis=1), seed=1)
    assert both[1].value == np.median(values)


def test_pairs_stay_together_and_samples_that_are_not_paired_do_not():
    rng = np.random.default_rng(0)
    before = rng.normal(0, 10, 200)
    after = before + rng.normal(1, 0.1, 200)
    paired = bootstrap(np.stack([after, before], axis=1), lambda d: d[..., 0].mean(1) - d[..., 1].mean(1), seed=1)
    apart = difference(after, before, seed=1)
    assert paired.value == pytest.approx(apart.value)
    assert paired.high - paired.low < 0.05
    assert apart.high - apart.low == pytest.approx(2 * 1.96 * 10 * math.sqrt(2 / 200), rel=0.15)


def test_where_there_is_nothing_there_is_no_interval():
    assert all(map(math.isnan, vars(bootstrap(np.zeros(0), mean, seed=1)).values()))
    assert math.isnan(difference(np.zeros(0), np.ones(3), seed=1).value)


def test_resamples_without_a_statistic_are_left_out():
    ratio = bootstrap(
        np.array([[1.0, 0.0], [2.0, 1.0]]), lambda d: np.where(d[..., 1].sum(1) > 0, d[..., 0].sum(1), np.nan), seed=1
    )
    assert (ratio.low, ratio.high) == (3.0, 4.0)


def test_a_statistic_over_everything_is_refused():
    with pytest.raises(ValueError, match="axis 1"):
        bootstrap(np.ones(4), np.mean, seed=1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrap(np.ones(4), mean, seed=1, level=95)
