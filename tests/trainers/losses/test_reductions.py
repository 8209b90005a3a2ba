"""What a target counts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trainers.losses.reductions import RunningMean, weigh


@pytest.mark.parametrize(
    ("reduction", "weights"),
    [
        ("token_mean", [1 / 6, 1 / 6, 1 / 6]),
        ("sum", [1, 1, 1]),
        ("per_sequence_mean", [1 / (5 * 2), 1 / 2, 1 / (1 * 2)]),
    ],
)
def test_weights_by_hand(reduction, weights):
    targets = np.array([5, 0, 1])
    assert weigh(reduction, targets).tolist() == pytest.approx(weights)
    assert float(weigh(reduction, targets) @ targets) == pytest.approx(6 if reduction == "sum" else 1)


@pytest.mark.parametrize("reduction", ["token_mean", "sum", "per_sequence_mean"])
def test_a_step_without_targets_divides_by_nothing(reduction):
    assert np.isfinite(weigh(reduction, np.zeros(3, np.int64))).all()


def test_the_running_mean_by_hand():
    mean, divisors = RunningMean(), []
    for targets in (10, 30, 20):
        mean = mean.then(targets)
        divisors.append(mean.divisor)
    assert divisors == pytest.approx([10, 39 / 1.9, 55.1 / 2.71], abs=1e-12)
    assert divisors == pytest.approx([10, 20.526316, 20.332103], abs=1e-6)
    assert RunningMean().then(0).divisor == 1
