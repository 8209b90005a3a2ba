"""Log-probabilities under the reference: the policy before its first step.

They are asked for once, before training: no second model is there during it, and each row is scored in the very passes
in which it is trained on first, so that the first margins are exactly zero. A run that goes on asks again, since its
policy is the base until a checkpoint is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from trainers.data.batches import lay_out
from trainers.data.plan import Plan
from trainers.errors import HandoffError
from trainers.loop.objective import Floats
from trainers.model.likelihood import log_probabilities
from trainers.model.policy import Policy

if TYPE_CHECKING:
    from accelerate import Accelerator

CHECKED = 16
"""Items whose recorded log-probabilities are held against the policy's."""

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 3e-2}
"""Nats per token, by the arithmetic of the policy."""


def live(policy: Policy, plan: Plan, accelerator: Accelerator) -> Floats:
    """What the policy, which has taken no step yet, gives to the rows that the plan will come to, `[rows]`."""
    rank, world = accelerator.process_index, accelerator.num_processes
    windows = map(plan.window, range(min(plan.steps, plan.steps_per_epoch)))
    batches = (batch for window in windows for batch in plan.batches(window, np.zeros(len(window.rows)), rank, world))
    mine = log_probabilities(policy, batches, len(plan.lengths), accelerator.device)
    found: Floats = accelerator.reduce(mine, "sum").cpu().numpy()
    return found


def check(policy: Policy, plan: Plan, recorded: Floats, device: torch.device) -> None:
    """Hold recorded log-probabilities, `[rows]`, against what the policy, which has taken no step yet, gives itself.

    Raises:
        HandoffError: they are of another reference; the message names the rows that are farthest off.
    """
    items = np.unique(np.linspace(0, len(plan.sizes) - 1, CHECKED).astype(np.int64))
    members = [first + np.arange(plan.sizes[item]) for item, first in zip(items, plan.firsts[items], strict=True)]
    batches = (lay_out(plan.tokens, of, [len(of)], np.arange(len(of)), np.zeros(len(of))) for of in members)
    rows = np.concatenate(members)
    own = log_probabilities(policy, batches, len(plan.lengths), device).cpu().numpy()[rows]
    off = np.abs(own - recorded[rows]) / plan.targets[rows]
    if (off > TOLERANCE[policy.dtype]).any():
        worst = np.argsort(-off, kind="stable")[:3]
        named = ", ".join(
            f"{plan.row_ids[int(rows[at])]}: {recorded[rows[at]]:.3f} in the table, {own[at]:.3f} by the base"
            for at in worst
        )
        raise HandoffError(
            f"the log-probabilities of the reference are not those of the base ({named}): another model, template, "
            "length, arithmetic or adapters made the table; score the rows again with the base, or set reference: live"
        )
