"""Watches a run for what will end badly, and says so while it can still be stopped; each kind of trouble once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainers.loop.log import Log
from trainers.loop.metrics import StepRecord
from trainers.loop.objective import Objective

SPAN = 20
"""Steps of a mean: fewer say more of the batches than of the training."""


class Watch:
    """What an objective fears for (`Objective.concerns`), and what every training has to."""

    def __init__(self, objective: Objective, log: Log) -> None:
        self.objective, self.log = objective, log
        self._said: set[str] = set()

    def look(self, records: Sequence[StepRecord]) -> None:
        """After a step: `records` are all steps so far."""
        for code, message in [*diverging(records), *self.objective.concerns(records)]:
            if code not in self._said:
                self._said.add(code)
                self.log.warning(f"step {records[-1].step}: {message}")


def diverging(records: Sequence[StepRecord]) -> list[tuple[str, str]]:
    """Whether the gradients have grown out of proportion: ten times what they were at the beginning."""
    if len(records) < 2 * SPAN:
        return []
    first, last = (float(np.median([r.grad_norm for r in part])) for part in (records[:SPAN], records[-SPAN:]))
    if last <= 10 * first:
        return []
    return [
        (
            "diverging",
            f"gradients are {last / first:.0f} times as large as at the beginning: a lower learning_rate, or a "
            "longer warmup, may be needed",
        )
    ]
