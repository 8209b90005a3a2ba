"""The most similar of some vectors that are held in memory, for others that come in blocks; exact."""

from __future__ import annotations

import numpy as np

from engine.vectors.unit import CLOSE, cosines, true_at

BLOCK = 1024  # rows against all others in one go; no result depends on it


def closest(rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The other of the largest cosine for each row, of equals the first.

    Where float32 can't tell which is the largest, float64 does.

    Args:
        rows: float32 [n, dim], unit vectors.
        others: float32 [m, dim], unit vectors, at least one.

    Returns:
        int [n], its position; float64 [n], the cosine.
    """
    best, similarity = np.zeros(len(rows), np.int64), np.zeros(len(rows))
    for start in range(0, len(rows), BLOCK):
        unit = rows[start : start + BLOCK]
        products = unit @ others.T
        row, other = true_at(products >= products.max(axis=1, keepdims=True) - 2 * CLOSE)
        exact = cosines(unit[row], others[other])
        order = np.lexsort((other, -exact, row))
        top = order[np.unique(row[order], return_index=True)[1]]
        best[start : start + BLOCK], similarity[start : start + BLOCK] = other[top], exact[top]
    return best, similarity
