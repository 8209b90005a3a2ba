"""Losses of whole rankings, from the log-probabilities of answers; no model, no data, no loop.

The answers to a prompt are a list, the best one first; `B` lists are rows of a matrix that is as wide as the longest,
`K`, and `counts`, `[B]`, says how many answers each of them has. What stands behind these is finite and means nothing.
A score `p` is an answer's log-probability over a power of its number of tokens: its own, without a prompt or padding.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu


def padded(values: Tensor, counts: Tensor) -> Tensor:
    """Values of answers list by list, `[R]`, as lists, `[B, K]`; differentiable."""
    held = torch.arange(int(counts.max()), device=values.device) < counts[:, None]
    return values.new_zeros(held.shape).masked_scatter(held, values)


def scores(logp: Tensor, tokens: Tensor, exponent: float) -> Tensor:
    """`p = log pi(y | x) / |y|^exponent` (RRHF, arXiv 2304.05302, equation 1, where the exponent is 1).

    Args:
        logp: summed over the tokens of each answer, of any shape.
        tokens: how many these are, of the same shape.
        exponent: 1 gives the mean, 0 the sum.
    """
    return logp / tokens.clamp(min=1).to(logp.dtype) ** exponent


def rrhf(p: Tensor, counts: Tensor) -> Tensor:
    """`sum max(0, p_worse - p_better)` over the pairs of each list, `[B]` (arXiv 2304.05302, equation 2).

    Args:
        p: scores, `[B, K]`.
        counts: answers in each list, `[B]`.
    """
    excess = relu(p[:, None, :] - p[:, :, None])  # [B, better, worse]
    return (excess * _pairs(counts, p.shape[1])).sum((1, 2))


def pro(p: Tensor, counts: Tensor, rewards: Tensor | None = None) -> Tensor:
    """`-sum_k log(exp(p_k) / sum_{i >= k} exp(p_i))` of each list, `[B]` (PRO, arXiv 2306.17492).

    With rewards `r` of the answers, which fall along each list, it is PRO's differentiated contrast: the scores in the
    term of `k` are divided by temperatures, `1 / (r_k - r_i)` for `i > k`, and for `k` itself the least of these.

    Args:
        p: scores, `[B, K]`.
        counts: answers in each list, `[B]`.
        rewards: `[B, K]`; without any all temperatures are 1.
    """
    later = _pairs(counts, p.shape[1])
    scale = torch.ones_like(later, dtype=p.dtype)
    if rewards is not None:
        scale = (rewards[:, :, None] - rewards[:, None, :]).to(p.dtype) * later
        scale = scale + torch.diag_embed(scale.amax(2))
    logits = p[:, None, :] * scale  # [B, k, i]
    own = logits.diagonal(dim1=1, dim2=2)
    seen = later | torch.eye(p.shape[1], dtype=torch.bool, device=p.device)
    return (logits.masked_fill(~seen, -torch.inf).logsumexp(2) - own).sum(1)


def agreement(p: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of each list that the scores put into its order, `[B]`, and pairs that it has, `[B]`; a tie is wrong."""
    pairs = _pairs(counts, p.shape[1])
    return ((p[:, :, None] > p[:, None, :]) & pairs).sum((1, 2)), pairs.sum((1, 2))


def _pairs(counts: Tensor, width: int) -> Tensor:
    """Whether `i` is an answer of the list, and `k` a better one, `[B, k, i]`."""
    places = torch.arange(width, device=counts.device)
    return (places[:, None] < places) & (places < counts[:, None])[:, None, :]
