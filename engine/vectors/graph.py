"""Most of the k nearest others of each row, in much less time than all of them: by the cells of k-means.

What is found has its exact similarity; what is missed lies in a cell that was not looked into. `nearest` misses none.
"""

from __future__ import annotations

import math

import numpy as np

from engine.vectors.cells import kmeans
from engine.vectors.index import NOTHING, Inverted
from engine.vectors.nearest import Nearest
from engine.vectors.ordered import Ordered

BLOCK = 4096  # rows that are put in, or asked for, in one go
CELLS = 4  # times the square root of the number of rows: finding a row's cells is then a small part of the work
POINTS_PER_CELL = 64
NOT_FOUND = -1.0


def nearest_k_in_cells(vectors: Ordered, k: int, *, probes: int, seed: int) -> Nearest:
    """The k nearest others of each row among the rows of the `probes` cells that are nearest to it.

    The time is that of products with a share of probes / cells of all rows, the memory that of all vectors in float32.
    Where cells hold fewer than k others, the row itself fills the places that are left, with the similarity
    `NOT_FOUND`. Which cell a row is in may depend on the hardware where two are equally near.
    """
    n = len(vectors)
    k = min(k, max(n - 1, 0))
    found = Nearest(np.repeat(np.arange(n), k).reshape(n, k), np.full((n, k), NOT_FOUND))
    if not k:
        return found
    index = _filled(vectors, probes, seed)
    for start in range(0, n, BLOCK):
        _, hits = index.search(vectors.rows(slice(start, start + BLOCK)), k + 1)
        here = slice(start, start + len(hits))
        found.rows[here], found.similarity[here] = _others(vectors, np.arange(start, start + len(hits)), hits, k)
    return found


def _filled(vectors: Ordered, probes: int, seed: int) -> Inverted:
    n, dim = len(vectors), vectors.dim
    cells = CELLS * math.isqrt(n)
    drawn = np.random.default_rng(seed).choice(n, min(POINTS_PER_CELL * cells, n), replace=False)
    index = Inverted(kmeans(vectors.rows(np.sort(drawn)), cells, seed=seed).reshape(-1, dim), probes)
    for start in range(0, n, BLOCK):
        index.add(vectors.rows(slice(start, start + BLOCK)))
    return index


def _others(vectors: Ordered, rows: np.ndarray, hits: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The hits that are not the row itself, by falling exact similarity, equals in the rows' order."""
    itself = rows[:, None]
    others = np.where(hits == NOTHING, itself, hits)
    similarity = np.full(hits.shape, NOT_FOUND)
    real = others != itself
    similarity[real] = vectors.similarities(np.broadcast_to(itself, hits.shape)[real], others[real])
    order = np.lexsort((others, -similarity), axis=1)[:, :k]
    return np.take_along_axis(others, order, axis=1), np.take_along_axis(similarity, order, axis=1)
