"""What each target's NLL counts in a loss that is a weighted sum of NLLs: reductions differ in the weights alone.

The targets are those of a whole optimiser step, over all forward passes and processes: a mean of means is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DECAY = 0.9

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


@dataclass(frozen=True)
class RunningMean:
    """A mean of target counts in which a forward pass counts 0.9 of the next: ms-swift's `long-ce`.

    A long forward pass is divided by less than its own count, and weighs more than a short one. Only there to compare
    with: what a target counts depends on the passes before it.
    """

    targets: float = 0.0
    passes: float = 0.0

    def then(self, targets: int) -> RunningMean:
        """After a forward pass with so many targets."""
        return RunningMean(DECAY * self.targets + targets, DECAY * self.passes + 1)

    @property
    def divisor(self) -> float:
        """What the sum of NLLs of the last forward pass is divided by; 1 as long as there was no target."""
        return self.targets / self.passes if self.targets else 1.0
