"""`python -m trainers.dpo FOLDER --out OUT`: preference optimisation by DPO (arXiv 2305.18290) and its relatives."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from trainers.config import DpoConfig
from trainers.data.batches import Batch
from trainers.data.mismatched import mismatched
from trainers.data.plan import Plan, Window
from trainers.data.preferences import answers_of
from trainers.data.recorded import labels, references
from trainers.data.shared import share_prompts
from trainers.data.tokens import tokenise
from trainers.loop.command import Given, Recipe, main
from trainers.loop.objective import Floats, Report
from trainers.losses.preference import Answers, kto, kto_shift, pair_loss, rewards
from trainers.model.likelihood import log_probabilities
from trainers.objectives import reference
from trainers.objectives.answers import OfAnswers, summary
from trainers.objectives.items import mean

if TYPE_CHECKING:
    from trainers.loop.metrics import StepRecord
    from trainers.loop.steps import Trainer

FIGURES = ("rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen", "logps/rejected", "length/chosen",
           "length/rejected", "kl")  # fmt: skip


class Pairs(OfAnswers):
    """DPO and the losses that are of pairs too: rows stand two by two, the chosen answer before the rejected one."""

    figures = (*FIGURES, "rewards/accuracies")
    """Means over the window. `kl`: of the log-ratios `h` of chosen answers, null without a reference."""

    def losses(self, answers: Answers, rows: Tensor) -> Tensor:
        """See `OfAnswers`."""
        del rows
        return pair_loss(answers[0::2], answers[1::2], self.config)

    def report(self, window: Window, nll: Floats) -> Report:
        """See `Objective`."""
        rows, answers = self.answers(window, nll)
        chosen, rejected = answers[0::2], answers[1::2]
        better, worse = rewards(chosen, self.config), rewards(rejected, self.config)
        columns = {"loss": self.losses(answers, rows), "reward_chosen": better, "reward_rejected": worse}
        figures = summary(chosen, rejected, self.config) | {
            "rewards/accuracies": mean((better > worse).double()),  # a tie is wrong
            "kl": None if self.config.reference == "none" else mean(chosen.ratio),
        }
        return self.of_items(window, {name: pa.array(column.numpy()) for name, column in columns.items()}, figures)

    def learnt(self, record: StepRecord) -> float | None:
        """See `OfAnswers`."""
        return record.figures["kl"]


class Feedback(OfAnswers):
    """KTO (arXiv 2402.01306), of answers that are good or bad."""

    figures = FIGURES
    """Means over the window. `kl`: of the log-ratios of answers to other prompts, from which z is made."""

    def __init__(
        self, plan: Plan, config: DpoConfig, reference: Floats, device: torch.device, good: npt.NDArray[np.bool_],
        others: Plan, others_reference: Floats,
    ) -> None:  # fmt: skip
        """`others`: the same rows with answers to other prompts, and what the reference gives to these, `[rows]`."""
        super().__init__(plan, config, reference, device)
        self.good, self.others, self.others_reference = torch.from_numpy(good).to(device), others, others_reference
        self.mismatched = 0.0

    def batches(self, trainer: Trainer, window: Window) -> list[Batch]:
        """See `Objective`; z comes first, and of the whole window, so that it doesn't matter how that is split."""
        accelerator, rows = trainer.accelerator, len(self.plan.lengths)
        share = accelerator.process_index, accelerator.num_processes
        batches = self.others.batches(window, np.zeros(len(window.rows)), *share)
        logp = log_probabilities(trainer.model, batches, rows, accelerator.device)
        found = accelerator.reduce(logp, "sum").cpu().numpy()
        self.mismatched = float((found - self.others_reference)[window.rows].mean())
        return super().batches(trainer, window)

    def losses(self, answers: Answers, rows: Tensor) -> Tensor:
        """See `OfAnswers`."""
        shift = kto_shift(self.mismatched, self.config.beta)
        return kto(answers.ratio, self.good.to(rows.device)[rows], shift, self.config)

    def report(self, window: Window, nll: Floats) -> Report:
        """See `Objective`."""
        rows, answers = self.answers(window, nll)
        good, reward = self.good.cpu()[rows], rewards(answers, self.config).numpy()
        columns = {
            "loss": pa.array(self.losses(answers, rows).numpy()),
            "reward_chosen": pa.array(reward, mask=~good.numpy()),
            "reward_rejected": pa.array(reward, mask=good.numpy()),
        }
        figures = summary(answers[good], answers[~good], self.config) | {"kl": self.mismatched}
        return self.of_items(window, columns, figures)

    def learnt(self, record: StepRecord) -> float | None:
        """See `OfAnswers`."""
        reward = record.figures["rewards/chosen"]
        return None if reward is None else reward / self.config.beta


def objective(given: Given[DpoConfig]) -> OfAnswers:
    """The loss that the configuration names, on the rows of the folder; the policy has taken no step yet."""
    config, accelerator, seed = given.config, given.accelerator, given.handoff.seed
    tokens, _ = tokenise(given.handoff, given.tokenizer, config)
    tokens = share_prompts(tokens) if config.share_prompt else tokens
    plan = Plan(tokens, config, seed, accelerator.device.type, together=len(answers_of(config)))
    known = _reference(given, plan)
    if config.loss != "kto":
        return Pairs(plan, config, known, accelerator.device)
    others = plan.over(mismatched(tokens, seed, config.max_length))
    good = labels(given.handoff, tokens)
    unlike = reference.live(given.policy, others, accelerator)
    return Feedback(plan, config, known, accelerator.device, good, others, unlike)


def _reference(given: Given[DpoConfig], plan: Plan) -> Floats:
    """Log-probability of each row's answer under the reference, `[rows]`; zeros for losses without one."""
    if given.config.reference == "none":
        return np.zeros(len(plan.lengths))
    if given.config.reference == "live":
        return reference.live(given.policy, plan, given.accelerator)
    recorded = references(given.handoff, plan.tokens, given.config)
    reference.check(given.policy, plan, recorded, given.accelerator.device)
    return recorded


DPO = Recipe(DpoConfig, objective)

if __name__ == "__main__":
    sys.exit(main(DPO))
