"""`python -m trainers.rank FOLDER --out OUT`: list-wise, by RRHF (arXiv 2304.05302) or PRO (arXiv 2306.17492)."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from trainers.config import RankConfig
from trainers.data.batches import Batch, Integers
from trainers.data.items import item_sizes
from trainers.data.plan import Plan, Window
from trainers.data.rankings import rewards_of
from trainers.data.tokens import tokenise
from trainers.loop.command import Given, Recipe, main
from trainers.loop.objective import ROWS, Floats, Report
from trainers.losses.ranking import agreement, padded, pro, rrhf, scores
from trainers.model.policy import Policy, Scored
from trainers.objectives.items import OfItems, mean


@dataclass(frozen=True)
class Lists:
    """`B` rankings of `R` answers in all, under the policy."""

    p: Tensor
    """Scores, `[B, K]`, see `losses.ranking`."""
    counts: Tensor
    """Answers in each, `[B]`."""
    rank: Tensor
    """The loss of each ranking, `[B]`."""
    sft: Tensor
    """The NLL per token of its best answer, `[B]`."""
    loss: Tensor
    """Both, as they are weighed, `[B]`."""


class Ranked(OfItems):
    """RRHF or PRO, and the likelihood of the best answer; an item is a ranking, each of its answers a row."""

    rows = pa.schema([*ROWS, *((name, pa.float32()) for name in ("loss", "rank_loss", "sft_loss", "rank_accuracy"))])
    figures = ("rank_loss", "sft_loss", "rank_accuracy", "score_best", "score_worst", "length_best", "length_worst")
    """`rank_accuracy`: of all pairs of the window; else means over its rankings, of the best answer and the worst."""

    def __init__(self, plan: Plan, config: RankConfig, rewards: Floats | None) -> None:
        """`rewards`: of each row's answer, `[rows]`, where the loss asks for them."""
        super().__init__(plan)
        self.config, self.rewards = config, rewards

    def loss(self, policy: Policy, hidden: Tensor, batch: Batch) -> Scored:
        """See `Objective`."""
        nll, hits = policy.token_nll(hidden, batch.targets)
        rows, loss = batch.rows.cpu().numpy(), nll.sum()
        if len(rows):  # else it is padding alone, so that all processes make as many passes
            found = self.lists(rows, -batch.by_row(nll.double()))
            loss = (found.loss * batch.weights[self.heads(rows)]).sum()
        return Scored(loss.float(), nll.detach(), hits)

    def lists(self, rows: Integers, logp: Tensor) -> Lists:
        """The rankings of these rows, whose answers have the log-probabilities `logp`, `[R]`."""
        config, heads = self.config, self.heads(rows)
        counts = torch.from_numpy(np.diff(heads, append=len(rows))).to(logp.device)
        tokens = torch.from_numpy(self.plan.targets[rows]).to(logp.device)
        p = padded(scores(logp, tokens, config.length_exponent), counts)
        rewards = None if self.rewards is None else padded(torch.from_numpy(self.rewards[rows]).to(p), counts)
        rank = rrhf(p, counts) if config.loss == "rrhf" else pro(p, counts, rewards)
        sft = -(logp / tokens)[heads]
        return Lists(p, counts, rank, sft, config.rank_weight * rank + config.sft_weight * sft)

    def report(self, window: Window, nll: Floats) -> Report:
        """See `Objective`."""
        found, lengths = self.lists(window.rows, torch.from_numpy(-nll)), self.plan.targets[window.rows]
        right, pairs = agreement(found.p, found.counts)
        columns = {"loss": found.loss, "rank_loss": found.rank, "sft_loss": found.sft, "rank_accuracy": right / pairs}
        best = self.heads(window.rows)
        worst = best + found.counts.numpy() - 1
        figures = {
            "rank_loss": mean(found.rank),
            "sft_loss": mean(found.sft),
            "rank_accuracy": float(right.sum() / pairs.sum()),
            "score_best": mean(found.p[:, 0]),
            "score_worst": mean(found.p.gather(1, found.counts[:, None] - 1)),
            "length_best": float(lengths[best].mean()),
            "length_worst": float(lengths[worst].mean()),
        }
        return self.of_items(window, {name: pa.array(column.numpy()) for name, column in columns.items()}, figures)


def objective(given: Given[RankConfig]) -> Ranked:
    """The loss that the configuration names, on the rows of the folder."""
    config = given.config
    tokens, _ = tokenise(given.handoff, given.tokenizer, config)
    plan = Plan(tokens, config, given.handoff.seed, given.accelerator.device.type, together=item_sizes(tokens))
    return Ranked(plan, config, rewards_of(given.handoff, tokens) if config.reward_gaps else None)


RANK = Recipe(RankConfig, objective)

if __name__ == "__main__":
    sys.exit(main(RANK))
