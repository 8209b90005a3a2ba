"""The most similar of some vectors that are held in memory, for others that come in blocks; exact."""

from __future__ import annotations

import numpy as np

from engine.vectors.unit import CLOSE, PAIRS, cosines, true_at

PRODUCTS = 2**24  # in one go: 64 MiB; no result depends on it


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
    block = max(PRODUCTS // len(others), 1)
    for start in range(0, len(rows), block):
        unit = rows[start : start + block]
        products = unit @ others.T
        row, other = true_at(products >= products.max(axis=1, keepdims=True) - 2 * CLOSE)
        exact = np.empty(len(row))
        for first in range(0, len(row), PAIRS):  # a few at a time: nothing bounds how many there are
            pairs = slice(first, first + PAIRS)
            exact[pairs] = cosines(unit[row[pairs]], others[other[pairs]])
        order = np.lexsort((other, -exact, row))
        top = order[np.unique(row[order], return_index=True)[1]]
        best[start : start + block], similarity[start : start + block] = other[top], exact[top]
    return best, similarity
