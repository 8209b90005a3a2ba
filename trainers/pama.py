"""`python -m trainers.pama FOLDER --out OUT`: one policy for several rewards, without weights set by hand.

PAMA (He and Maghsudi, arXiv 2508.07768): draw answers, reward them n times, estimate n advantages, keep those above 0,
and go up their combination under the weights that make it smallest. Fixed weights and MGDA stand beside it.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from trainers.config import PamaConfig
from trainers.data.batches import Batch
from trainers.data.plan import Plan, Window
from trainers.data.prompts import Asked
from trainers.data.tokens import tokenise
from trainers.loop.command import Given, Recipe, main
from trainers.loop.objective import ROWS, Floats, Objective, Report
from trainers.losses import ppo
from trainers.model.gradients import gram_of_gradients
from trainers.model.policy import Policy, Scored
from trainers.model.reference import Reference
from trainers.model.scoring import TokenScores, evaluating, tempered_nll, without_dropout
from trainers.model.values import ValueHeads
from trainers.objectives import methods
from trainers.objectives.experience import experience, scored
from trainers.objectives.rollouts import Roller
from trainers.rewards import Rewards

if TYPE_CHECKING:
    from trainers.loop.metrics import StepRecord
    from trainers.loop.steps import Trainer

OF_EACH = ("reward/", "reward_std/", "bad/", "adv_mean/", "adv_pos_frac/", "pama/A_", "pama/c_")
"""Figures of each objective, whose name follows. `bad`: answers without a number; `adv_mean` and `adv_pos_frac`: of A'
as GAE has it; `pama/A_`: the mean of I(A) over all tokens, after whitening and the Noon clip; `pama/c_`: its weight."""

OF_ALL = ("pama/s_star", "kl", "clip_frac", "length", "entropy", "zero_frac", "value_loss")
"""Figures of the step. `kl`: nats from the reference, per answer; `clip_frac` and `zero_frac`: shares of tokens whose
ratio is clipped, and that teach nothing, in the last update."""

STILL = 1e-9
"""A standard deviation below this is that of equal rewards, but for rounding."""


@dataclass(frozen=True)
class Target:
    """What an update is made from, in float32 where the policy is."""

    base: Tensor
    """`[N]`: log-probabilities that ratios are to."""
    advantages: Tensor
    """`[N]`: combined."""
    returns: Tensor
    """`[N, n]`."""


class Pama(Objective):
    """Ascent on `sum_i c_i L_i`, with c by the method, and the fit of n values beside it."""

    def __init__(self, given: Given[PamaConfig], plan: Plan, rewards: Rewards) -> None:
        super().__init__(plan)
        self.config, self.policy, self.names = given.config, given.policy, rewards.names
        self.fixed = methods.fixed_weights(given.config, rewards.names)
        self.reference = Reference(given.policy)
        without_dropout(given.policy)
        self.heads = ValueHeads(given.policy.head.weight.shape[1], len(self.names)).to(given.accelerator.device)
        given.policy.add_module("values", self.heads)
        asked = Asked(given.handoff, plan.row_ids)
        self.roller = Roller(given.config, given.tokenizer, given.policy, plan, asked, rewards)
        of_rewards = [(f"reward/{name}", pa.float64()) for name in self.names]
        self.rows = pa.schema([*ROWS, *of_rewards, ("kl", pa.float64()), ("response", pa.string())])
        self.figures = (*(f"{figure}{name}" for figure in OF_EACH for name in self.names), *OF_ALL)

    def batches(self, trainer: Trainer, window: Window) -> list[Batch]:
        """Draw, reward, estimate, combine; and every update of the step but the last, which is the loop's."""
        accelerator = trainer.accelerator
        with evaluating(self.policy):
            rollouts = self.roller.roll_out(window, accelerator)
            self.known = experience(rollouts, self.policy, self.reference, self.heads, self.config, accelerator)
            mine = rollouts.batches(accelerator.process_index, accelerator.num_processes)
            self._aim(self.known.old, mine, trainer)
        for _ in range(self.config.ppo_epochs - 1):
            trainer.update(window, mine)
            with evaluating(self.policy):
                now = scored(rollouts, self.policy, accelerator, self.config.temperature, self.heads)
                self._aim(now, mine, trainer)
        return mine

    def loss(self, policy: Policy, hidden: Tensor, batch: Batch) -> Scored:
        """The clipped surrogate of the combined advantages, and the fit of the values."""
        at = self.known.rollouts.target_of(batch).to(hidden.device)
        ratios, nll, hits = self._ratios(policy, hidden, batch, self.target.base[at])
        gain = ppo.surrogate(self.target.advantages[at], ratios, self.config.clip).sum()
        misfit = ppo.value_loss(self.heads(hidden), self.target.returns[at]).sum()
        loss = (self.config.value_coefficient * misfit - gain) / len(self.target.base)
        return Scored(loss, nll.detach(), hits)

    def report(self, window: Window, nll: Floats) -> Report:  # noqa: ARG002
        """See `Objective`: a row for each answer, those that were left out among them."""
        rollouts = self.known.rollouts
        n_tokens, kl = np.zeros(len(window.rows), np.int64), np.full(len(window.rows), np.nan)
        n_tokens[rollouts.places], kl[rollouts.places] = rollouts.lengths, self.known.divergence.numpy()
        columns = {"kl": pa.array(kl, from_pandas=True), "response": pa.array(rollouts.responses, pa.string())}
        for name, rewards in zip(self.names, rollouts.rewards.T, strict=True):
            columns[f"reward/{name}"] = pa.array(rewards, from_pandas=True)
        row_ids = self.plan.row_ids.take(pa.array(window.rows))
        return Report(int(rollouts.plan.lengths.sum()), row_ids, n_tokens, columns, self._figures())

    def concerns(self, records: Sequence[StepRecord]) -> list[tuple[str, str]]:
        """See `Objective`: rewards that teach nothing, and answers that they have no number for."""
        found, last = [], [record.figures for record in records[-self.config.dead_steps :]]
        long = len(last) == self.config.dead_steps
        for name in self.names:
            missing = int(last[-1][f"bad/{name}"] or 0)
            if missing:
                found.append((f"bad/{name}", f"{name} has no number for {missing} answers, which are left out"))
            if long and not any((figures[f"reward_std/{name}"] or 0) > STILL for figures in last):
                what = f"{name} is the same for every answer, for {len(last)} steps"
                found.append((f"dead/{name}", f"{what}: a dead reward, or one that is at its bound"))
        if long and all(figures["zero_frac"] == 1 for figures in last):
            what = f"no token has an advantage in all objectives, for {len(last)} steps"
            found.append(("zero", f"{what}: a dead reward, or values that expect too much"))
        return found

    def _aim(self, now: TokenScores, mine: Sequence[Batch], trainer: Trainer) -> None:
        """Set what the next update is made from, for the policy as it stands."""
        self.standing = methods.standing(self.known, now, self.config, self.fixed)
        if self.config.method == "mgda":
            self.combined = methods.by_gram(self.standing, self._gram(mine, trainer))
        else:
            self.combined = methods.combined(self.standing, self.known.owners, self.config, self.fixed)
        parts = (self.standing.base, self.combined.advantages, self.known.returns)
        self.target = Target(*(part.to(trainer.accelerator.device, torch.float32) for part in parts))

    def _gram(self, mine: Sequence[Batch], trainer: Trainer) -> Tensor:
        """Inner products of the gradients of each objective's own surrogate, one backward pass for each of them."""
        device, at = trainer.accelerator.device, self.standing
        own, base = (part.to(device, torch.float32) for part in (at.advantages, at.base))

        def losses(hidden: Tensor, batch: Batch) -> Tensor:
            tokens = self.known.rollouts.target_of(batch).to(hidden.device)
            ratios, _, _ = self._ratios(self.policy, hidden, batch, base[tokens])
            return torch.stack([ppo.surrogate(one, ratios, self.config.clip).sum() for one in own[tokens].T])

        return gram_of_gradients(self.policy, mine, losses, trainer.accelerator)

    def _ratios(self, policy: Policy, hidden: Tensor, batch: Batch, base: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ratios of a batch's targets, with gradients; their NLLs and hits."""
        nll, hits = tempered_nll(policy, hidden, batch.targets, self.config.temperature)
        return (-nll - base).exp(), nll, hits

    def _figures(self) -> dict[str, float | None]:
        """Of the step, by `OF_EACH` and `OF_ALL`."""
        known, rollouts, at = self.known, self.known.rollouts, self.standing
        kept = rollouts.rewards[rollouts.places]
        of_each = (
            kept.mean(0),
            kept.std(0),
            np.isnan(rollouts.rewards).sum(0),
            known.estimates.mean(0),
            (known.estimates > 0).double().mean(0),
            (at.each * at.kept).mean(0),
            self.combined.weights,
        )
        of_all = (
            self.combined.optimum,
            known.divergence.mean(),
            (~at.kept).any(-1).double().mean(),
            rollouts.lengths.mean(),
            known.old.entropy.mean(),
            (self.combined.advantages == 0).double().mean(),
            ppo.value_loss(known.old.values, known.returns).mean(),
        )
        return dict(zip(self.figures, map(float, (*np.concatenate(of_each), *of_all)), strict=True))


def objective(given: Given[PamaConfig]) -> Pama:
    """Pareto alignment on the prompts of the folder; `batch_size` counts prompts."""
    rewards = Rewards(given.config.rewards)
    tokens, _ = tokenise(given.handoff, given.tokenizer, given.config)
    prompts = Plan(tokens, replace(given.config, packing=False), given.handoff.seed, given.accelerator.device.type)
    made = Pama(given, prompts, rewards)
    weakref.finalize(made, rewards.close)
    return made


PAMA = Recipe(PamaConfig, objective)

if __name__ == "__main__":
    sys.exit(main(PAMA))
