"""What a step of reinforcement learning knows of its answers before the policy moves: scores, advantages, returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trainers.config import PamaConfig
from trainers.losses import ppo
from trainers.model.policy import Policy
from trainers.model.reference import Reference
from trainers.model.scoring import TokenScores, score
from trainers.model.values import ValueHeads
from trainers.objectives.rollouts import Rollouts

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Experience:
    """Of `m` answers with `N` tokens and n objectives, in float64 on the CPU; the same in all processes."""

    rollouts: Rollouts
    old: TokenScores
    """By the policy that drew them."""
    reference: Tensor
    """`[N]`: log-probabilities by the reference."""
    estimates: Tensor
    """`[N, n]`: advantages of each objective as GAE has them, A'."""
    returns: Tensor
    """`[N, n]`: what the values are fitted to."""

    @property
    def owners(self) -> Tensor:
        """`[N]`: the answer that each token belongs to."""
        lengths = torch.from_numpy(self.rollouts.lengths)
        return torch.arange(len(lengths)).repeat_interleave(lengths)

    @property
    def divergence(self) -> Tensor:
        """`[m]`: nats between the policy and the reference over each answer, estimated from it alone."""
        return self.rollouts.padded(self.old.logp - self.reference).sum(1)


def experience(
    rollouts: Rollouts,
    policy: Policy,
    reference: Reference,
    heads: ValueHeads,
    config: PamaConfig,
    accelerator: Accelerator,
) -> Experience:
    """Score the answers by policy and reference, and estimate the advantages of their tokens."""
    old = scored(rollouts, policy, accelerator, config.temperature, heads)
    with reference.policy() as before:
        known = scored(rollouts, before, accelerator, config.temperature).logp
    rewards = ppo.token_rewards(
        torch.from_numpy(rollouts.rewards[rollouts.places]),
        rollouts.padded(old.logp),
        rollouts.padded(known),
        rollouts.mask,
        config.kl_coefficient,
    )
    estimates, returns = ppo.gae(rewards, rollouts.padded(old.values), rollouts.mask, config.gamma, config.gae_lambda)
    return Experience(rollouts, old, known, estimates[rollouts.mask], returns[rollouts.mask])


def scored(
    rollouts: Rollouts, policy: Policy, accelerator: Accelerator, temperature: float, heads: ValueHeads | None = None
) -> TokenScores:
    """What a policy says of all `N` tokens of the answers, in float64 on the CPU; the same in all processes."""
    device = accelerator.device
    total = int(rollouts.lengths.sum())
    sums: list[Tensor] | None = None
    for batch in rollouts.batches(accelerator.process_index, accelerator.num_processes):
        found = score(policy, batch.to(device), temperature, heads)
        parts = [found.logp, found.entropy, found.reach, found.values]
        sums = sums or [torch.zeros(total, *part.shape[1:], dtype=torch.float64, device=device) for part in parts]
        at = rollouts.target_of(batch).to(device)
        for whole, part in zip(sums, parts, strict=True):
            whole[at] = part.double()
    assert sums is not None
    return TokenScores(*(accelerator.reduce(whole, "sum").cpu() for whole in sums))
