"""The parts of PPO with several objectives: token rewards, advantages, the clipped surrogate, the fit of the values.

Tensors of a rollout are `[B, T]` (responses, padded to the right) or `[N]` (their tokens, one after the other); n
objectives stand last. Schulman et al., arXiv 1506.02438 and 1707.06347; "Noon" is PAMA's (arXiv 2508.07768): no
negative advantages.
"""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-8
"""Below this variance advantages are constant, and whitened to 0."""


def token_rewards(scores: Tensor, logp: Tensor, reference: Tensor, mask: Tensor, beta: float) -> Tensor:
    """The score at a response's last token, and at each token `-beta (log pi - log pi_ref)`, as TRL has it.

    Every objective pays the same for leaving the reference, so convex weights on objectives leave that price as it is.

    Args:
        scores: `[B, n]`, of whole responses.
        logp: `[B, T]`, of the sampled tokens under the policy that sampled them.
        reference: `[B, T]`, the same under the reference.
        mask: `[B, T]`, bool: the response's own tokens, at least one each.
        beta: the price of a nat.

    Returns:
        `[B, T, n]`.
    """
    rewards = (-beta * (logp - reference) * mask)[..., None].repeat(1, 1, scores.shape[1])
    last = mask.sum(1) - 1
    rewards[torch.arange(len(scores), device=scores.device), last] += scores
    return rewards


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates of every objective from its own rewards and values (arXiv 1506.02438, eq. 16).

    A response ends where its tokens end, also one that was cut: nothing is worth anything after it.

    Args:
        rewards: `[B, T, n]`.
        values: `[B, T, n]`, of the states before each token.
        mask: `[B, T]`, bool: the response's own tokens.
        gamma: discount.
        lam: the estimates' lambda.

    Returns:
        Advantages and the returns that values are fitted to, `[B, T, n]`; 0 outside of the responses.
    """
    inside = mask[..., None].to(values)
    values, rewards = values * inside, rewards * inside
    following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1)
    errors = rewards + gamma * following - values
    advantages = torch.zeros_like(values)
    running = torch.zeros_like(values[:, 0])
    for at in reversed(range(values.shape[1])):
        running = (errors[:, at] + gamma * lam * running) * inside[:, at]
        advantages[:, at] = running
    return advantages, advantages + values


def whiten(advantages: Tensor) -> Tensor:
    """Each objective's advantages, `[N, n]`, with mean 0 and variance 1; 0 where they are constant.

    A minimum over objectives compares their scales: before the Noon clip, or the objective with the smallest always
    decides.
    """
    centred = advantages - advantages.mean(0)
    variance = centred.square().mean(0)
    return torch.where(variance > TINY, centred / variance.clamp(min=TINY).sqrt(), 0)


def noon(advantages: Tensor) -> Tensor:
    """`max(A', 0)`: what is worse than expected teaches nothing."""
    return advantages.clamp(min=0)


def kept(advantages: Tensor, ratios: Tensor, clip: float) -> Tensor:
    """Where the clipped surrogate has a gradient, `[N, n]`, bool: PAMA's indicator I, for advantages of any sign.

    Args:
        advantages: `[N, n]`.
        ratios: `[N]`.
        clip: epsilon.
    """
    u = ratios[:, None]
    return torch.where(advantages >= 0, u <= 1 + clip, u >= 1 - clip)


def surrogate(advantages: Tensor, ratios: Tensor, clip: float) -> Tensor:
    """`min(u A, clip(u, 1 - eps, 1 + eps) A)` of each token, `[N]`; for A >= 0 it is `A min(u, 1 + eps)`.

    To be maximised. A ratio of exactly `1 + eps` still has its gradient.
    """
    clipped = torch.where(advantages >= 0, ratios.clamp(max=1 + clip), ratios.clamp(min=1 - clip))
    return advantages * clipped


def value_loss(values: Tensor, returns: Tensor) -> Tensor:
    """`(V - R)^2 / 2` of each token, `[N]`, as the mean over objectives.

    The mean, not the sum: n heads on one trunk would else send it n times the gradient of one.

    Args:
        values: `[N, n]`.
        returns: `[N, n]`.
    """
    return (values - returns).square().mean(-1) / 2
