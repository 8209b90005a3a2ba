"""What the losses of preferences have in common: log-probabilities of answers beside those of a reference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from trainers.config import DpoConfig
from trainers.data.batches import Batch
from trainers.data.plan import Plan, Window
from trainers.data.preferences import answers_of
from trainers.loop.objective import ROWS, Figures, Floats
from trainers.losses.preference import Answers, rewards
from trainers.model.policy import Policy, Scored
from trainers.objectives.items import OfItems, mean

if TYPE_CHECKING:
    from trainers.loop.metrics import StepRecord

SPAN = 20
"""Steps of a mean, where single steps say more of their batches than of the training."""

COLLAPSE = 5.0
"""Nats by which an answer has become unlikelier that the model was to learn."""


class OfAnswers(OfItems):
    """A loss of pairs, or of single answers (KTO); each answer is a row."""

    rows = pa.schema([*ROWS, *((name, pa.float32()) for name in ("loss", "reward_chosen", "reward_rejected"))])

    def __init__(self, plan: Plan, config: DpoConfig, reference: Floats, device: torch.device) -> None:
        """`reference`: log-probability of each row's answer, `[rows]`."""
        super().__init__(plan)
        self.config, self.reference = config, torch.from_numpy(reference).to(device)
        self.together = len(answers_of(config))

    @abstractmethod
    def losses(self, answers: Answers, rows: Tensor) -> Tensor:
        """The loss of each item, from the answers of its rows, `[R]`, whose numbers in the data are `rows`."""

    @abstractmethod
    def learnt(self, record: StepRecord) -> float | None:
        """Mean log-ratio of the answers that the step wanted more of, if there were any."""

    def loss(self, policy: Policy, hidden: Tensor, batch: Batch) -> Scored:
        """See `Objective`."""
        nll, hits = policy.token_nll(hidden, batch.targets)
        logp, tokens = -batch.by_row(nll.double()), batch.by_row(torch.ones_like(nll))
        losses = self.losses(Answers(logp, self.reference[batch.rows], tokens), batch.rows)
        loss = (losses * batch.weights[:: self.together]).sum()
        return Scored(loss.float(), nll.detach(), hits)

    def answers(self, window: Window, nll: Floats) -> tuple[Tensor, Answers]:
        """The window's rows, `[k]`, and what was found of their answers."""
        rows, tokens = torch.from_numpy(window.rows), torch.from_numpy(self.plan.targets[window.rows])
        return rows, Answers(torch.from_numpy(-nll), self.reference.cpu()[rows], tokens)

    def concerns(self, records: Sequence[StepRecord]) -> list[tuple[str, str]]:
        """Answers to be learnt that become unlikelier and unlikelier: margins grow, and the model forgets to speak."""
        known = [ratio for record in records[-4 * SPAN :] if (ratio := self.learnt(record)) is not None]
        before, now = (float(np.mean(known[-end:][:SPAN] or [0])) for end in (2 * SPAN, SPAN))
        if len(known) < 2 * SPAN or now > -COLLAPSE or now > before:
            return []
        message = (
            f"the answers to be learnt are {-now:.0f} nats unlikelier than at the beginning, and become more so: a "
            "higher beta, a lower learning_rate, or some sft_weight would hold them"
        )
        return [("collapse", message)]


def summary(chosen: Answers, rejected: Answers, config: DpoConfig) -> Figures:
    """Means of rewards, log-probabilities and lengths on either side; null where a side is empty."""
    figures: Figures = {}
    for name, side in (("chosen", chosen), ("rejected", rejected)):
        figures[f"rewards/{name}"] = mean(rewards(side, config))
        figures[f"logps/{name}"] = mean(side.logp)
        figures[f"length/{name}"] = mean(side.tokens.double())
    better, worse = figures["rewards/chosen"], figures["rewards/rejected"]
    figures["rewards/margins"] = None if better is None or worse is None else better - worse
    return figures
