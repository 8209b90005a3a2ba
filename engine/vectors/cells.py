"""Spherical k-means and the cells that it cuts the unit sphere into.

Which cell a row is in is a matter of exact cosines: neither blocks, threads nor the hardware change it. So the loop
is written out here and only its search is FAISS's, whose own k-means goes by float32 products.
"""

from __future__ import annotations

import numpy as np

from engine.vectors.index import Flat
from engine.vectors.ordered import VECTOR_BITS, on_grid
from engine.vectors.unit import CLOSE, PAIRS, cosines, true_at

LOOKED_AT, LOOKED_AT_A_CELL = 4096, 8  # rows among which k-means finds its beginning: at least, and for each cell
BLOCK = 1024  # rows against all centroids in one go, where float32 can't tell


def kmeans(sample: np.ndarray, cells: int, *, seed: int, iterations: int = 20) -> np.ndarray:
    """Centroids of spherical k-means (Dhillon and Modha 2001), begun at rows that lie far from one another.

    A cell that loses all its rows is moved to the row that lies farthest from its own centroid. The cost of an
    iteration is that of one product of the sample with the centroids.

    Args:
        sample: float32 [n, dim], unit vectors, in an order that does not depend on the table's (that of row_id).
        cells: how many cells are wanted.
        seed: draws the rows to begin with.
        iterations: at most so many; fewer where no row changes its cell any more.

    Returns:
        float32 [at most cells, dim], unit vectors; fewer than `cells` where the sample has fewer different rows.
    """
    centroids = _far_apart(sample, cells, np.random.default_rng(seed))
    if not len(centroids):
        return centroids
    cell = nearest_cells(sample, centroids)[:, 0]
    for _ in range(iterations):
        centroids = _moved(sample, cell, centroids)
        before, cell = cell, nearest_cells(sample, centroids)[:, 0]
        if np.array_equal(cell, before):
            break
    filled: np.ndarray = centroids[np.unique(cell)]
    return filled


def assign(vectors: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell that each unit vector is in.

    Args:
        vectors: float32 [n, dim].
        centroids: float32 [cells, dim], at least one.

    Returns:
        cell: int32 [n], the centroid of the largest cosine; of equal ones the first.
        cosine: float32 [n], to that centroid, rounded from float64.
    """
    cell = nearest_cells(vectors, centroids)[:, 0]
    return cell, cosines_to(vectors, centroids, cell)


def nearest_cells(vectors: np.ndarray, centroids: np.ndarray, k: int = 1) -> np.ndarray:
    """The k nearest centroids of each unit vector, the nearest first, of equal ones the first: int32 [n, k].

    There are fewer columns where there are fewer centroids.
    """
    k = min(k, len(centroids))
    products, found = Flat(centroids).search(vectors, min(k + 1, len(centroids)))
    nearest = found[:, :k].astype(np.int32)
    doubtful = np.flatnonzero((products[:, :-1] - products[:, 1:] <= CLOSE).any(axis=1))
    for start in range(0, len(doubtful), BLOCK):
        rows = doubtful[start : start + BLOCK]
        nearest[rows] = _decided(vectors[rows], centroids, k)
    return nearest


def _decided(rows: np.ndarray, centroids: np.ndarray, k: int) -> np.ndarray:
    """`nearest_cells` where float64 decides between all centroids that may be among the k nearest."""
    products = rows @ centroids.T
    least = np.partition(products, -k, axis=1)[:, -k]
    row, cell = true_at(products >= least[:, None] - CLOSE)
    cosine = np.empty(len(row))
    for start in range(0, len(row), PAIRS):
        pairs = slice(start, start + PAIRS)
        cosine[pairs] = cosines(rows[row[pairs]], centroids[cell[pairs]])
    order = np.lexsort((cell, -cosine, row))
    firsts = np.searchsorted(row, np.arange(len(rows)))  # `row` is sorted, and stays so in this order
    chosen: np.ndarray = cell[order[firsts[:, None] + np.arange(k)]]
    return chosen


def cosines_to(vectors: np.ndarray, centroids: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The cosine of each unit vector to the centroid of its cell, float32 [n], rounded from float64."""
    cosine = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), PAIRS):
        rows = slice(start, start + PAIRS)
        cosine[rows] = cosines(vectors[rows], centroids[cell[rows]])
    return cosine


def _far_apart(sample: np.ndarray, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Rows to begin with, drawn one by one by the distance to those before: k-means++ (Arthur & Vassilvitskii 2007).

    They come from some rows of the sample, spread evenly over it. Numbers on a grid make their products exact.
    """
    looked_at = min(len(sample), max(LOOKED_AT, LOOKED_AT_A_CELL * cells))
    places = np.linspace(0, len(sample) - 1, looked_at).astype(np.int64)
    wide = on_grid(sample[places].astype(np.float64), VECTOR_BITS)
    chosen: list[int] = []
    gaps = np.ones(looked_at)
    while len(chosen) < cells and gaps.any():
        reach = np.cumsum(gaps)
        pick = min(int(np.searchsorted(reach, rng.random() * reach[-1], side="right")), looked_at - 1)
        chosen.append(pick)
        np.minimum(gaps, np.maximum(1 - wide @ wide[pick], 0), out=gaps)
        gaps[pick] = 0
    return sample[places[np.sort(np.array(chosen, np.int64))]]


def _moved(sample: np.ndarray, cell: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The directions of the cells' mean rows; those of the farthest rows for cells without any."""
    order = np.argsort(cell, kind="stable")
    bounds = np.searchsorted(cell[order], np.arange(len(centroids) + 1))
    moved = centroids.astype(np.float64)
    for number in np.flatnonzero(np.diff(bounds)):
        total = sample[order[bounds[number] : bounds[number + 1]]].sum(axis=0, dtype=np.float64)
        length = np.linalg.norm(total)
        if length > 0:  # rows that cancel each other out leave their centroid where it was
            moved[number] = total / length
    empty = np.flatnonzero(np.diff(bounds) == 0)
    if len(empty):
        farthest = np.argsort(cosines_to(sample, centroids, cell), kind="stable")[: len(empty)]
        moved[empty] = sample[farthest]
    return moved.astype(np.float32)
