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
from trainers.losses.reductions import weigh
from trainers.model.policy import Policy, Scored

if TYPE_CHECKING:
    from torch import Tensor


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


def objective(given: Given[SftConfig]) -> NextToken:
    """Next-token prediction on the rows of the folder."""
    tokens, _ = tokenise(given.handoff, given.tokenizer, given.config)
    plan = Plan(tokens, given.config, given.handoff.seed, given.accelerator.device.type)
    return NextToken(plan, given.config.loss)


SFT = Recipe(SftConfig, objective)

if __name__ == "__main__":
    sys.exit(main(SFT))
