"""What each target's NLL counts in a loss that is a weighted sum of NLLs: reductions differ in the weights alone.

The targets are those of a whole optimiser step, over all forward passes and processes: a mean of means is none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]


def weigh(reduction: str, targets: npt.NDArray[np.int64]) -> Weights:
    """The weight of every target of each row, `[k]`.

    Args:
        reduction: `token_mean`: every target counts the same; `sum`: 1 each (open-instruct's); `per_sequence_mean`:
            every row with targets counts the same.
        targets: how many targets each row of the step has, `[k]`.
    """
    if reduction == "sum":
        return np.ones(len(targets))
    if reduction == "token_mean":
        return np.full(len(targets), 1 / max(int(targets.sum()), 1))
    return np.asarray(1 / (np.maximum(targets, 1) * max(np.count_nonzero(targets), 1)), dtype=np.float64)
