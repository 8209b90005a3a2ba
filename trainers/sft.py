"""`python -m trainers.sft FOLDER --out OUT`: supervised fine-tuning of a hand-off folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from trainers.config import SftConfig
from trainers.data.batches import Batch
from trainers.data.plan import Plan, Window
from trainers.data.tokens import tokenise
from trainers.loop.command import Given, Recipe, main
from trainers.loop.objective import ROWS, Floats, Objective, Report
from trainers.losses.reductions import RunningMean, weigh
from trainers.model.policy import Policy, Scored

if TYPE_CHECKING:
    from torch import Tensor

    from trainers.loop.steps import Trainer


class NextToken(Objective):
    """The NLL of the targets, averaged over the whole optimiser step as `reduction` says."""

    rows = pa.schema([*ROWS, ("loss", pa.float32())])
    """`loss`: the mean NLL of the row's targets when it was trained on, null without any."""

    def __init__(self, plan: Plan, reduction: str) -> None:
        super().__init__(plan)
        self.reduction = reduction

    def weights(self, window: Window) -> Floats:
        """See `Objective`."""
        return weigh(self.reduction, self.plan.targets[window.rows])

    def loss(self, policy: Policy, hidden: Tensor, batch: Batch) -> Scored:
        """See `Objective`; the weights are those of a sum over the step."""
        return Scored(*policy.weighted_nll(hidden, batch.targets, batch.weights[batch.owners]))

    def report(self, window: Window, nll: Floats) -> Report:
        """See `Objective`."""
        targets = self.plan.targets[window.rows]
        loss = pa.array(nll / np.maximum(targets, 1), pa.float32(), mask=targets == 0)
        tokens = int(self.plan.lengths[window.rows].sum())
        return Report(tokens, self.plan.row_ids.take(pa.array(window.rows)), targets, {"loss": loss})


class LongCe(NextToken):
    """The NLL divided by a running mean of the targets of forward passes, process by process (`RunningMean`)."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, "long_ce_ema")
        self._steps, self._mean = 0, RunningMean()

    def batches(self, trainer: Trainer, window: Window) -> list[Batch]:
        """See `Objective`; a run that goes on counts the passes before it anew."""
        rank, world = trainer.accelerator.process_index, trainer.accelerator.num_processes
        for step in range(self._steps, window.step):
            self._weights(self.plan.window(step), rank, world)
        self._steps = window.step + 1
        return list(self.plan.batches(window, self._weights(window, rank, world), rank, world))

    def _weights(self, window: Window, rank: int, world: int) -> Floats:
        """A step is the mean over its passes and processes."""
        weights, passes = np.zeros(len(window.rows)), list(self.plan.passes(window, rank, world))
        for spans in passes:
            segments = np.concatenate([np.empty(0, np.int64), *spans])
            self._mean = self._mean.then(int(self.plan.targets[window.rows[segments]].sum()))
            weights[segments] = 1 / (self._mean.divisor * len(passes) * world)
        return weights


def objective(given: Given[SftConfig]) -> NextToken:
    """Next-token prediction on the rows of the folder."""
    tokens, _ = tokenise(given.handoff, given.tokenizer, given.config)
    plan = Plan(tokens, given.config, given.handoff.seed, given.accelerator.device.type)
    given.policy.neftune_alpha = given.config.neftune_alpha
    return LongCe(plan) if given.config.loss == "long_ce_ema" else NextToken(plan, given.config.loss)


SFT = Recipe(SftConfig, objective)

if __name__ == "__main__":
    sys.exit(main(SFT))
