"""How several objectives become one: weights on the simplex whose combined gradient is as small as it can be.

PAMA's problem in numbers (`min_square`) or in vectors over tokens, MGDA's in gradients (`min_norm_point` of their Gram
matrix). He and Maghsudi, "Pareto Multi-Objective Alignment for Language Models", arXiv 2508.07768; Sener and Koltun,
"Multi-Task Learning as Multi-Objective Optimization", arXiv 1810.04650.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float64]
Granularity = Literal["token", "sequence", "batch", "batch_scalar", "vector"]

SLACK = 1e-13
"""Of squared lengths that are 1 at most: below this, a point is no nearer to the origin than another."""


@dataclass(frozen=True)
class Combined:
    """The one advantage that each of `N` tokens is trained with, and how it came about."""

    advantages: Tensor
    """`[N]`: what stands before the token's clipped ratio; constant for the gradient."""
    weights: Tensor
    """`[n]`: what each objective counts, on the simplex; the mean over tokens where weights differ between them."""
    optimum: float
    """s*, the mean over tokens where there is more than one; for vectors the root of the mean square."""


def min_square(values: Tensor) -> tuple[Tensor, Tensor]:
    """Minimise `(sum_i c_i A_i)^2` over the simplex: Theorem 1 of PAMA, and weights that attain it.

    The optimum projects 0 onto `[min A, max A]`. Weight is on the least and on the greatest value alone, shared evenly
    between values that are equal; for mixed signs and n > 2 other weights attain 0 too.

    Args:
        values: `[..., n]`, of any sign.

    Returns:
        s*, `[...]`, whose square is the minimum, and c, `[..., n]`.
    """
    low, high = values.amin(-1, keepdim=True), values.amax(-1, keepdim=True)
    optimum = low.clamp(min=0) + high.clamp(max=0)
    apart = high - low
    on_low = torch.where(apart > 0, high / torch.where(apart > 0, apart, 1), 1).clamp(0, 1)
    weights = on_low * _evenly(values == low) + (1 - on_low) * _evenly(values == high)
    return optimum.squeeze(-1), weights


def combine(granularity: Granularity, advantages: Tensor, kept: Tensor, owners: Tensor) -> Combined:
    """PAMA's weights for the tokens of a step.

    What the paper's `A(i)` is, a token's advantage or a mean of many, it leaves open; each reading has a name here. The
    weights of a mean hold for all of its tokens, and a token's advantage is `sum_i c_i A_t(i)`.

    Args:
        granularity: `token`: a problem for each token; `sequence`: for the means over each response; `batch`: one for
            the means over all tokens; `batch_scalar`: as `batch`, and its s* is every token's advantage; `vector`: one
            for the advantages as vectors over all tokens (an extension: the paper's bound without its means).
        advantages: `[N, n]`, after the Noon clip if there is one.
        kept: `[N, n]` or `[N, 1]`, bool: the ratio isn't clipped, so the token has a gradient; PAMA's `I`.
        owners: `[N]`, int64: the response that each token belongs to, from 0.
    """
    seen = advantages * kept
    if granularity == "token":
        optima, weights = min_square(seen)
    elif granularity == "sequence":
        optima, weights = (found[owners] for found in min_square(_means(seen, owners)))
    elif granularity == "vector":
        weights = torch.from_numpy(min_norm_point((seen.T @ seen).double().cpu().numpy())).to(seen)
        optima = (seen @ weights).square().mean().sqrt()
    else:
        optima, weights = min_square(seen.mean(0))
    weights = weights.expand_as(advantages)
    combined = optima.expand(len(seen)) if granularity == "batch_scalar" else (weights * advantages).sum(-1)
    return Combined(combined, weights.mean(0), float(optima.mean()))


def weigh(advantages: Tensor, weights: Floats) -> Combined:
    """Advantages, `[N, n]`, under given weights, `[n]`; `optimum` is the mean of what comes out."""
    given = torch.from_numpy(weights).to(advantages)
    combined = advantages @ given
    return Combined(combined, given, float(combined.mean()))


def min_norm_point(gram: Floats) -> Floats:
    """Minimise `c' G c` over the simplex: the point of a convex hull that is nearest to the origin.

    Wolfe's active set ("Finding the nearest point in a polytope", 1976), exact after finitely many steps.

    Args:
        gram: `[n, n]`, inner products of n vectors.

    Returns:
        c, `[n]`; even weights where all vectors are zero.
    """
    longest = float(gram.diagonal().max())
    if longest == 0:
        return np.full(len(gram), 1 / len(gram))
    gram = gram / longest
    weights = np.zeros(len(gram))
    weights[gram.diagonal().argmin()] = 1
    for _ in range(len(gram) ** 3):  # far more than it takes: an end where rounding would let it go in circles
        products = gram @ weights
        nearest = int(products.argmin())
        if products[nearest] >= weights @ products - SLACK or weights[nearest] > 0:
            break
        weights = _descend(gram, weights, nearest)
    return np.asarray(weights / weights.sum())


def _descend(gram: Floats, weights: Floats, added: int) -> Floats:
    """The nearest point of the hull of the vectors with weight and of one more, which lies before its face."""
    active = np.append(np.flatnonzero(weights), added)
    weights = weights.copy()
    while True:
        plane = _affine(gram[np.ix_(active, active)])
        if (plane > 0).all():
            weights[active] = plane
            return weights
        # Go towards the plane's nearest point until the first weight is used up
        now = weights[active]
        out = plane <= 0
        share = (now[out] / (now[out] - plane[out])).min()
        now = now + share * (plane - now)
        now[(now <= SLACK) & out] = 0
        weights[active] = now
        active = active[now > 0]


def _affine(gram: Floats) -> Floats:
    """Minimise `y' G y` where `sum y = 1`, and y has any sign: the nearest point of a plane."""
    n = len(gram)
    system = np.block([[gram, np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    return np.asarray(np.linalg.lstsq(system, np.append(np.zeros(n), 1.0), rcond=None)[0][:n])


def _evenly(chosen: Tensor) -> Tensor:
    return chosen / chosen.sum(-1, keepdim=True)


def _means(values: Tensor, owners: Tensor) -> Tensor:
    """The mean of each owner's rows, `[R, n]`."""
    counts = torch.bincount(owners)
    sums = values.new_zeros(len(counts), values.shape[1]).index_add(0, owners, values)
    return sums / counts.clamp(min=1)[:, None]
