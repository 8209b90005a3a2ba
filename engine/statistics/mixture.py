"""Gaussian mixtures: densities by Cholesky factors and log-sum-exp, fitted by expectation maximisation over blocks.

Resident are one block and, for each component, a matrix of dim x dim; densities themselves, which underflow where
log-likelihoods are near -10,000, are never formed. The fit is the same to the last bit where the blocks are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from engine.errors import SetwrightError
from engine.statistics.moments import Blocks, moments
from engine.statistics.starts import distances, starts

Covariance = Literal["full", "diag", "spherical"]
LEAST = 10 * np.finfo(np.float64).eps  # of a component's rows, so that an empty one has a mean


@dataclass(frozen=True)
class Mixture:
    """A mixture of k Gaussians over vectors of length dim.

    Attributes:
        weights: float64 [k], their sum is 1.
        means: float64 [k, dim].
        factors: what makes a component white: for each the upper triangular matrix U with U U^T = inverse of the
            covariance, float64 [k, dim, dim]; else 1 / deviation, [k, dim] (diag) or [k, 1] (spherical).
    """

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    @classmethod
    def of(cls, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> Mixture:
        """A mixture from covariances: [k, dim, dim] (full), [k, dim] (diag) or [k, 1] (spherical).

        Raises:
            SetwrightError: one of them is not positive definite.
        """
        try:
            full = covariances.ndim == 3
            factors = [np.linalg.inv(np.linalg.cholesky(c)).T if full else _inverse_root(c) for c in covariances]
        except np.linalg.LinAlgError:
            raise SetwrightError(
                "the covariance of a component is not positive definite",
                cure="raise reg_covar, lower the number of dimensions, or take covariance: diag",
            ) from None
        return cls(np.asarray(weights), np.asarray(means), np.array(factors))

    def parts(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of vectors [n, dim] the log-likelihoods, float64 [n], and what each component has of them, [n, k]."""
        joint = np.stack([self._log_density(block, k) for k in range(len(self.weights))], axis=1) + np.log(self.weights)
        most = joint.max(axis=1, keepdims=True)
        parts = np.exp(joint - most)
        sums = parts.sum(axis=1, keepdims=True)
        return (most + np.log(sums))[:, 0], parts / sums

    def _log_density(self, block: np.ndarray, k: int) -> np.ndarray:
        factor, dim = self.factors[k], self.means.shape[1]
        away = block - self.means[k]
        white = away @ factor if factor.ndim == 2 else away * factor
        log_scale = np.log(np.diagonal(factor) if factor.ndim == 2 else np.broadcast_to(factor, dim)).sum()
        found: np.ndarray = log_scale - (dim * np.log(2 * np.pi) + np.einsum("ij,ij->i", white, white)) / 2
        return found


@dataclass(frozen=True)
class Fit:
    """A fitted mixture, the heaviest component first.

    Attributes:
        mixture: the components.
        loglik: the mean log-likelihood of a vector before the last step.
        steps: how many steps of expectation maximisation there were.
        converged: whether the last one gained less than the tolerance.
    """

    mixture: Mixture
    loglik: float
    steps: int
    converged: bool


def fit(
    blocks: Blocks,
    components: int = 2,
    *,
    seed: int,
    covariance: Covariance = "full",
    reg_covar: float = 1e-6,
    n_init: int = 1,
    tol: float = 1e-3,
    max_iter: int = 100,
) -> Fit:
    """The best of `n_init` runs of expectation maximisation, each from other starting points.

    A step is one pass over the blocks: O(n components dim^2), or O(n components dim) for diag and spherical.

    Args:
        blocks: the vectors, float [any, dim].
        components: how many Gaussians.
        seed: of the starting points.
        covariance: full, diag (one variance for each dimension) or spherical (one for all).
        reg_covar: what is added to every variance, as a part of the mean variance of the dimensions.
        n_init: runs; that of the highest likelihood is taken.
        tol: the gain of the mean log-likelihood at which a run ends.
        max_iter: steps after which a run ends in any case.

    Raises:
        SetwrightError: there are fewer vectors than components, or all vectors are the same.
    """
    whole = moments(blocks, diagonal=True)
    if whole.count < components:
        raise SetwrightError(
            f"{whole.count:,} vectors are too few for a mixture of {components} components",
            cure="give more rows, or fewer components",
        )
    if not whole.variances.any():
        raise SetwrightError(
            f"all {whole.count:,} vectors are the same: there is no spread to fit a mixture to",
            cure="look at what made the embeddings: different texts should have different ones",
        )
    added = reg_covar * whole.variances.mean()
    seeds = np.random.SeedSequence(seed).generate_state(n_init, np.uint64)
    runs = [
        _run(blocks, starts(blocks, whole.count, components, int(each)), covariance, added, tol, max_iter)
        for each in seeds
    ]
    return max(runs, key=lambda run: run.loglik)


def _run(blocks: Blocks, first: np.ndarray, covariance: Covariance, added: float, tol: float, max_iter: int) -> Fit:
    """One run, from the components of the vectors that lie nearest to each first centre, [components, dim]."""
    mixture = _maximised(_expected(blocks, first, covariance, partial(_nearest, first)), first, added)
    loglik, steps, gain = -np.inf, 0, np.inf
    while steps < max_iter and gain >= tol:
        sums = _expected(blocks, mixture.means, covariance, mixture.parts)
        mixture = _maximised(sums, mixture.means, added)
        now = sums.loglik / sums.rows.sum()
        loglik, gain, steps = now, now - loglik, steps + 1
    order = np.lexsort((mixture.means[:, 0], -mixture.weights))
    ordered = Mixture(mixture.weights[order], mixture.means[order], mixture.factors[order])
    return Fit(ordered, loglik, steps, bool(gain < tol))


@dataclass
class _Sums:
    """Over all vectors: the components' parts [k], their sums about the means [k, dim], and their squares."""

    loglik: float
    rows: np.ndarray
    away: np.ndarray
    squares: np.ndarray


def _expected(
    blocks: Blocks,
    means: np.ndarray,
    covariance: Covariance,
    parts_of: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> _Sums:
    """The sums that the next mixture is made of; `parts_of` gives the log-likelihoods and parts of a block."""
    k, dim = means.shape
    sums = _Sums(0.0, np.zeros(k), np.zeros((k, dim)), np.zeros((k, dim, dim) if covariance == "full" else (k, dim)))
    for block in blocks():
        loglik, parts = parts_of(block)
        sums.loglik += float(loglik.sum())
        sums.rows += parts.sum(axis=0)
        for i in range(k):
            away = block - means[i]
            sums.away[i] += parts[:, i] @ away
            away *= np.sqrt(parts[:, i, None])
            sums.squares[i] += away.T @ away if covariance == "full" else np.einsum("ij,ij->j", away, away)
    if covariance == "spherical":
        sums.squares = sums.squares.mean(axis=1, keepdims=True)
    return sums


def _maximised(sums: _Sums, means: np.ndarray, added: float) -> Mixture:
    """The mixture of the highest likelihood for the parts that the sums were made with, about the means so far."""
    rows = sums.rows + LEAST
    shift = sums.away / rows[:, None]
    covariances = sums.squares / rows.reshape(-1, *[1] * (sums.squares.ndim - 1))
    if covariances.ndim == 3:
        covariances += added * np.eye(means.shape[1]) - shift[:, :, None] * shift[:, None, :]
    elif covariances.shape[1] == means.shape[1]:
        covariances += added - shift**2
    else:
        covariances += added - (shift**2).mean(axis=1, keepdims=True)
    return Mixture.of(rows / rows.sum(), means + shift, covariances)


def _nearest(centres: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each vector wholly to its nearest centre; of log-likelihoods, which come later, zeros."""
    return np.zeros(len(block)), np.eye(len(centres))[distances(block, centres).argmin(axis=1)]


def _inverse_root(variances: np.ndarray) -> np.ndarray:
    if not (variances > 0).all():
        raise np.linalg.LinAlgError
    root: np.ndarray = 1 / np.sqrt(variances)
    return root
