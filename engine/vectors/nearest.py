"""Each row's nearest other row, and the first row that is nearer than a limit: exact, block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.vectors.unit import UnitVectors, above, cosines

BLOCK = 1024  # rows against so many others in one go; no result depends on it
NOBODY = -1


@dataclass(frozen=True)
class Neighbours:
    """What stands next to each of n rows.

    Attributes:
        nearest: int [n], the most similar other row (of equals the first); `NOBODY` where there is none.
        distance: float64 [n], the squared L2 distance of the unit vectors to it, 2 - 2 cos; NaN where there is none.
        first: int [n], the smallest position of a row that is nearer than the limit; `NOBODY` where there is none.
    """

    nearest: np.ndarray
    distance: np.ndarray
    first: np.ndarray


def neighbours(vectors: UnitVectors, limit: float) -> Neighbours:
    """The neighbours of all rows that have a vector, with `limit` a squared L2 distance of unit vectors.

    The cost is that of one matrix product of all rows with all rows, the memory that of two blocks and their products.
    """
    known = np.flatnonzero(vectors.known)
    nearest, first = np.full(len(vectors), NOBODY), np.full(len(vectors), NOBODY)
    distance = np.full(len(vectors), np.nan)
    for start in range(0, len(known), BLOCK):
        rows = known[start : start + BLOCK]
        nearest[rows], first[rows] = _block(vectors, rows, known, 1 - limit / 2)
    found = nearest != NOBODY
    gap = vectors.rows(np.flatnonzero(found)) - vectors.rows(nearest[found])  # exactly 0 for equal vectors
    distance[found] = np.einsum("ij,ij->i", gap, gap, dtype=np.float64)
    return Neighbours(nearest, distance, first)


def similarity(vectors: UnitVectors, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The cosine of each row to its counterpart, float32 [n]; 0 where the counterpart is `NOBODY`."""
    values = np.zeros(len(rows), np.float32)
    named = others != NOBODY
    values[named] = cosines(vectors.rows(rows[named]), vectors.rows(others[named]))
    return values


def _block(vectors: UnitVectors, rows: np.ndarray, known: np.ndarray, cosine: float) -> tuple[np.ndarray, np.ndarray]:
    """`nearest` and `first` of a block of rows, compared with all known rows but themselves."""
    unit = vectors.rows(rows)
    best = np.full(len(rows), -np.inf, np.float32)
    nearest, first = np.full(len(rows), NOBODY), np.full(len(rows), NOBODY)
    for start in range(0, len(known), BLOCK):
        others = known[start : start + BLOCK]
        unit_others = vectors.rows(others)
        products = unit @ unit_others.T
        products[rows[:, None] == others[None, :]] = -np.inf
        at = products.argmax(axis=1)
        top = products[np.arange(len(rows)), at]
        better = top > best
        best[better], nearest[better] = top[better], others[at[better]]
        near = above(products, cosine, unit, unit_others)
        new = near.any(axis=1) & (first == NOBODY)
        first[new] = others[near[new].argmax(axis=1)]
    return nearest, first
