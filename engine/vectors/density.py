"""How densely other unit vectors lie about each: kernel sums, exact or by a sketch in time linear in the rows.

The sketch is the repeated array of counts of Coleman & Shrivastava (arXiv 1912.02283) with the hashes of Datar et al.
(2004): random directions, cut into cells of equal width. How many vectors are in one's own cell is, on average, the
sum over all vectors of the chance to share a cell, which falls with their distance: that chance is the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import numpy as np

from engine.vectors.ordered import on_grid

Blocks = Callable[[], Iterable[np.ndarray]]
"""Unit vectors, float32 [any, dim], in blocks that hold the same vectors each time that they are asked for."""

AXES = 3
"""Directions that together make one hash: the more, the faster the kernel falls off."""

REACH = 6.0
"""Along a random direction a unit vector lies within this, but for two in a billion, who go to the outermost cell."""

BITS, SUM_BITS = 20, 30
"""Vectors and directions are multiples of 2^-20, kernels of 2^-30: then neither products nor sums round, and no cell
and no density depends on the order of the vectors, their blocks or the BLAS.
"""

TABLE = 1 << 14
BLOCK = 1024


def kernel(distance: np.ndarray, width: float) -> np.ndarray:
    """The chance that unit vectors at these distances, from 0 to 2, share a cell along all axes; float64, 1 at 0."""
    grid, values = _table(width)
    found: np.ndarray = np.interp(distance, grid, values)
    return found


@cache
def _table(width: float) -> tuple[np.ndarray, np.ndarray]:
    grid = np.linspace(0, 2, TABLE)
    return grid, np.array([_collision(c / width) for c in grid]) ** AXES


def exact(blocks: Blocks, width: float) -> np.ndarray:
    """The sum of the kernel from each vector to all, itself among them: float64 [n], in time O(n^2 dim)."""
    sums = [sum(_to_all(rows, others, width) for others in _even(blocks)) for rows in _even(blocks)]
    return np.concatenate([np.zeros(0), *sums])


def sketched(blocks: Blocks, width: float, hashes: int, seed: int) -> np.ndarray:
    """An unbiased estimate of `exact`, float64 [n], in two passes of O(n dim hashes).

    The counts take `hashes` x (12 / width + 2)^3 numbers of 4 bytes, whatever n. In the published algorithm cells are
    hashed once more, into a given range, so that strangers are counted together; here each cell has its own count.
    """
    first = next((block for block in blocks() if len(block)), None)
    if first is None:
        return np.zeros(0)
    cells = _Cells(first.shape[1], width, hashes, seed)
    counts = np.zeros(cells.count, np.int32)
    for block in _even(blocks):
        np.add.at(counts, cells.of(block).reshape(-1), 1)
    return np.concatenate([counts[cells.of(block)].mean(axis=1) for block in _even(blocks)])


class _Cells:
    """The cells of all hashes: each hash cuts `AXES` random directions, and a cell is where it cuts a vector's.

    Attributes:
        count: how many cells there are.
    """

    def __init__(self, dim: int, width: float, hashes: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        side = math.ceil(2 * REACH / width) + 2
        self._directions = on_grid(rng.standard_normal((dim, hashes * AXES)), BITS)
        self._offsets = rng.random(hashes * AXES) + REACH / width
        self._width, self._side, self._hashes = width, side, hashes
        self.count = hashes * side**AXES

    def of(self, block: np.ndarray) -> np.ndarray:
        """The number of each vector's cell for each hash, int64 [n, hashes]."""
        along = block @ self._directions / self._width + self._offsets
        steps = np.floor(along).clip(0, self._side - 1).astype(np.int64).reshape(len(block), self._hashes, AXES)
        cells: np.ndarray = steps @ self._side ** np.arange(AXES) + self._side**AXES * np.arange(self._hashes)
        return cells


def _even(blocks: Blocks) -> Iterator[np.ndarray]:
    """The vectors on the grid, float64, in blocks of equal size but for the last."""
    held: list[np.ndarray] = []
    for block in blocks():
        for start in range(0, len(block), BLOCK):
            held.append(block[start : start + BLOCK])
            if sum(map(len, held)) >= BLOCK:
                joined = np.concatenate(held)
                yield on_grid(joined[:BLOCK].astype(np.float64), BITS)
                held = [joined[BLOCK:]]
    if sum(map(len, held)):
        yield on_grid(np.concatenate(held).astype(np.float64), BITS)


def _to_all(rows: np.ndarray, others: np.ndarray, width: float) -> np.ndarray:
    """The sum of the kernel from each row to the others, float64 [n]."""
    own, theirs = np.einsum("ij,ij->i", rows, rows), np.einsum("ij,ij->i", others, others)
    squares = own[:, None] + theirs - 2 * (rows @ others.T)
    sums: np.ndarray = on_grid(kernel(np.sqrt(squares), width), SUM_BITS).sum(axis=1)
    return sums


def _collision(ratio: float) -> float:
    """Of a distance in units of the width: the chance to share a cell (Datar et al. 2004, section 3.2)."""
    if ratio == 0:
        return 1.0
    inverse = 1 / ratio
    apart = 2 * ratio / math.sqrt(2 * math.pi) * (1 - math.exp(-(inverse**2) / 2))
    return math.erf(inverse / math.sqrt(2)) - apart
