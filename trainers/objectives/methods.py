"""How the advantages of several objectives become one: by PAMA, or by what stands beside it for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trainers.config import PamaConfig
from trainers.errors import HandoffError
from trainers.loop.objective import Floats
from trainers.losses import pareto, ppo
from trainers.losses.pareto import Combined
from trainers.model.scoring import TokenScores
from trainers.objectives.experience import Experience


@dataclass(frozen=True)
class Standing:
    """Where an update begins: `N` tokens by the policy as it is, in float64 on the CPU."""

    base: Tensor
    """`[N]`: log-probabilities that ratios are to."""
    ratios: Tensor
    """`[N]`."""
    reach: Tensor
    """`[N]`, see `TokenScores`."""
    each: Tensor
    """`[N, n]`: advantages of each objective, whitened and without those below 0 where that is asked for."""
    advantages: Tensor
    """`[N, m]`: those that the method combines; with fixed weights one, of the weighted rewards."""
    kept: Tensor
    """`[N, m]`, bool: I, the ratio isn't clipped."""


def fixed_weights(config: PamaConfig, names: Sequence[str]) -> Floats | None:
    """Weights of the rewards, `[n]`, where the method has them from the beginning.

    Raises:
        HandoffError: there are more or fewer of them than rewards, or no reward is called `objective`.
    """
    if config.method == "single":
        if config.objective not in names:
            raise HandoffError(f"params.objective is {config.objective!r}, and the rewards are {', '.join(names)}")
        return np.array([float(name == config.objective) for name in names])
    if config.method != "fixed_weights":
        return None
    if config.weights is not None and len(config.weights) != len(names):
        raise HandoffError(f"params.weights has {len(config.weights)} numbers, and there are {len(names)} rewards")
    return np.full(len(names), 1 / len(names)) if config.weights is None else np.array(config.weights)


def standing(known: Experience, now: TokenScores, config: PamaConfig, fixed: Floats | None) -> Standing:
    """For the policy that gives the scores `now`; with fixed weights, `[n]`, rewards are weighed before all else."""
    base = known.old.logp if config.ratio_base == "old" else known.reference
    ratios = (now.logp - base).exp()
    each = advantages = _clipped(known.estimates, config)
    if fixed is not None:  # advantages are linear in rewards and values: these are those of the weighted reward
        advantages = _clipped(known.estimates @ torch.from_numpy(fixed)[:, None], config)
    return Standing(base, ratios, now.reach, each, advantages, ppo.kept(advantages, ratios, config.clip))


def combined(at: Standing, owners: Tensor, config: PamaConfig, fixed: Floats | None) -> Combined:
    """One advantage for each token, by any method whose weights need no gradients of parameters."""
    if fixed is not None:
        return replace(pareto.weigh(at.advantages, np.ones(1)), weights=torch.from_numpy(fixed))
    if config.method == "pama":
        return pareto.combine(config.granularity, at.advantages, at.kept, owners)
    # MGDA-UB. By a token's state, the gradient of L_i is I(A(i)) u grad log pi: along the same line for every i
    lengths = at.advantages * at.kept * (at.ratios * at.reach.sqrt())[:, None]
    return by_gram(at, lengths.T @ lengths)


def by_gram(at: Standing, gram: Tensor) -> Combined:
    """One advantage for each token, by the weights of the shortest combination of gradients (MGDA)."""
    return pareto.weigh(at.advantages, pareto.min_norm_point(gram.cpu().numpy()))


def _clipped(estimates: Tensor, config: PamaConfig) -> Tensor:
    advantages = ppo.whiten(estimates) if config.whiten else estimates
    return ppo.noon(advantages) if config.noon else advantages
