"""The k nearest others of each row, as far as they stand in few cells: for too many rows to look at all pairs."""

from __future__ import annotations

import math

import numpy as np

from engine.vectors.cells import kmeans
from engine.vectors.index import NOTHING, Inverted
from engine.vectors.nearest import Nearest
from engine.vectors.ordered import Ordered

BLOCK = 4096  # rows that are searched for in one go
POINTS_PER_CELL = 64  # rows of the sample for each centroid


def nearly_nearest_k(vectors: Ordered, k: int, probes: int, seed: int) -> Nearest:
    """The k nearest others of each row among the rows of the `probes` cells nearest to it, of sqrt(n) cells in all.

    What is found is put in its exact order. Where the cells hold fewer than k others, the row itself stands in their
    place, with a similarity of -1. The cells are learned from rows spread evenly over the order. Beside the vectors, an
    index of the same size is held.
    """
    n = len(vectors)
    k = min(k, max(n - 1, 0))
    found = Nearest(np.empty((n, k), np.int64), np.empty((n, k)))
    if not k:
        return found
    index = _index(vectors, probes, seed)
    for start in range(0, n, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, n))[:, None]
        _, hits = index.search(vectors.rows(slice(start, start + BLOCK)), k + 1)
        hits = np.where(hits == NOTHING, numbers, hits)
        similarity = vectors.similarities(np.broadcast_to(numbers, hits.shape).ravel(), hits.ravel())
        similarity = np.where(hits == numbers, -1, similarity.reshape(hits.shape))
        best = np.lexsort((hits, -similarity), axis=1)[:, :k]
        found.rows[start : start + BLOCK] = np.take_along_axis(hits, best, axis=1)
        found.similarity[start : start + BLOCK] = np.take_along_axis(similarity, best, axis=1)
    return found


def _index(vectors: Ordered, probes: int, seed: int) -> Inverted:
    n = len(vectors)
    cells = max(1, round(math.sqrt(n)))
    sample = np.linspace(0, n - 1, min(n, POINTS_PER_CELL * cells)).astype(np.int64)
    index = Inverted(kmeans(vectors.rows(sample), cells, seed=seed), probes)
    for start in range(0, n, BLOCK):
        index.add(vectors.rows(slice(start, start + BLOCK)))
    return index
