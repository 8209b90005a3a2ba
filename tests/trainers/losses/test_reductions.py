"""What a target counts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trainers.losses.reductions import weigh


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
