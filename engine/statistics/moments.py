"""Mean and covariance of vectors that come block by block, and the axes along which they vary most.

Sums are in float64. They are the same to the last bit where the blocks are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

Blocks = Callable[[], Iterable[np.ndarray]]
"""Vectors, float [any, dim], in blocks that are the same each time that they are asked for; some may be empty."""


@dataclass(frozen=True)
class Moments:
    """What is left of n vectors.

    Attributes:
        count: n.
        mean: float64 [dim].
        covariance: float64 [dim, dim], divided by n; or its diagonal, [dim].
    """

    count: int
    mean: np.ndarray
    covariance: np.ndarray

    @property
    def variances(self) -> np.ndarray:
        """Of each dimension, float64 [dim]; exactly 0 where all vectors agree."""
        return self.covariance if self.covariance.ndim == 1 else np.diagonal(self.covariance)


def moments(blocks: Blocks, *, diagonal: bool = False) -> Moments:
    """Mean and covariance in one pass, O(n dim^2), or O(n dim) for the diagonal.

    Sums are taken about the first vector, so that a mean far from 0 costs no digits.

    Raises:
        ValueError: there are no vectors.
    """
    count, origin = 0, None
    for block in blocks():
        if not len(block):
            continue
        if origin is None:
            origin = block[0].astype(np.float64)
            sums = np.zeros(len(origin))
            squares = np.zeros(len(origin) if diagonal else (len(origin), len(origin)))
        away = block - origin
        count += len(block)
        sums += away.sum(axis=0)
        squares += np.einsum("ij,ij->j", away, away) if diagonal else away.T @ away
    if origin is None:
        raise ValueError("there are no vectors")
    mean = sums / count
    spread = squares / count - (mean**2 if diagonal else np.outer(mean, mean))
    return Moments(count, origin + mean, spread.clip(0) if diagonal else spread)


@dataclass(frozen=True)
class Projection:
    """Vectors less their mean, in units of their deviations if wanted, on their first principal axes.

    Attributes:
        mean: float64 [dim].
        scale: float64 [dim], by which each dimension is multiplied.
        axes: float64 [dim, kept]; None where all dimensions are kept as they are.
        explained: the part of the variance that the kept axes hold.
    """

    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray | None
    explained: float

    @property
    def kept(self) -> int:
        """How many coordinates there are."""
        return len(self.mean) if self.axes is None else self.axes.shape[1]

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Of vectors [m, dim] their coordinates, float32 [m, kept]."""
        centred = (block - self.mean) * self.scale
        coordinates: np.ndarray = (centred if self.axes is None else centred @ self.axes).astype(np.float32)
        return coordinates


def projection(blocks: Blocks, most: int | None, *, standardise: bool) -> Projection:
    """The projection onto the axes of greatest variance, at most so many; without a limit no axis is turned.

    Args:
        blocks: the vectors that it is made for.
        most: how many axes are kept where there are more.
        standardise: every dimension counts in units of its standard deviation; one that never varies stays as it is.
    """
    dim = next(block.shape[1] for block in blocks())
    kept = dim if most is None else min(most, dim)
    found = moments(blocks, diagonal=kept == dim)
    deviations = np.sqrt(found.variances.clip(0))
    scale = 1 / np.where(deviations > 0, deviations, 1) if standardise else np.ones(dim)
    if kept == dim:
        return Projection(found.mean, scale, None, 1.0)
    values, axes = np.linalg.eigh(found.covariance * scale[:, None] * scale)
    total = values.sum()
    explained = float(values[-kept:].sum() / total) if total > 0 else 1.0
    return Projection(found.mean, scale, axes[:, : -kept - 1 : -1], explained)
