"""What is optimised, as the loop sees it: forward passes of a step, their loss, and what to report of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainers.data.batches import Batch
from trainers.data.plan import Plan, Window

if TYPE_CHECKING:
    from torch import Tensor

    from trainers.loop.metrics import StepRecord
    from trainers.loop.steps import Trainer
    from trainers.model.policy import Policy, Scored

Floats = npt.NDArray[np.float64]
Figures = dict[str, float | None]

ROWS = (("row_id", pa.string()), ("epoch", pa.int32()), ("step", pa.int32()), ("n_tokens", pa.int32()))
"""What every objective says of a row that was trained on; `n_tokens` are its targets."""


@dataclass(frozen=True)
class Report:
    """What a step gave besides its loss, over all processes."""

    tokens: int
    """That went through the model, the targets among them."""
    row_ids: pa.Array
    """Of the items that were trained on, `[items]`."""
    n_tokens: npt.NDArray[np.int64]
    """Their targets, `[items]`."""
    columns: dict[str, pa.Array]
    """What else the objective's `rows` say of them, by its names."""
    figures: Figures = field(default_factory=dict)
    """Of the step, by the objective's names; None where the step had nothing to take them from."""


class Objective(ABC):
    """One objective of one training; what it has to remember from step to step is in the plan, or in `state`."""

    rows: pa.Schema
    """Of `train_metrics`: `ROWS`, and what the objective adds."""

    figures: tuple[str, ...] = ()
    """Names of its figures in `train_steps`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def weights(self, window: Window) -> Floats:
        """What each target of each of the window's rows counts, `[k]`, in the sum of NLLs that the loss has in it."""
        return np.zeros(len(window.rows))

    def batches(self, trainer: Trainer, window: Window) -> list[Batch]:
        """The forward passes of this process; called once a step, before its first loss."""
        accelerator = trainer.accelerator
        rank, world = accelerator.process_index, accelerator.num_processes
        return list(self.plan.batches(window, self.weights(window), rank, world))

    @abstractmethod
    def loss(self, policy: Policy, hidden: Tensor, batch: Batch) -> Scored:
        """The batch's part of the step's loss, which is the sum over all batches of all processes.

        Called within the policy's forward pass. `hidden`: the states that predict the batch's targets, `[N, H]`.
        """

    def concerns(self, records: Sequence[StepRecord]) -> list[tuple[str, str]]:
        """What this objective has to fear for, by the steps so far: codes, and messages for the user with a cure."""
        del records
        return []

    @abstractmethod
    def report(self, window: Window, nll: Floats) -> Report:
        """What the step gave, from the sum of NLLs of each of the window's rows, `[k]`; the same in all processes."""
