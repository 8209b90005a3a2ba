"""What stands around each vector: the nearest other one, and those nearer than a limit; exact, cell by cell.

Unlike `nearest`, which finds several neighbours of vectors in memory, this reads vectors from a tape.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.vectors.disk import Tape
from engine.vectors.ordered import SIMILARITY_BITS, on_grid
from engine.vectors.unit import CLOSE, PAIRS, above, true_at

BLOCK, CHUNK = 1024, 4096  # rows that are compared with so many others in one go; no result depends on it
NOBODY = -1


@dataclass(frozen=True)
class Surroundings:
    """What stands around each of m vectors in its cell.

    Attributes:
        nearest: int64 [m], the place of the most similar other vector, of equals the first; `NOBODY` where a cell has
            no other.
        distance: float64 [m], the squared L2 distance to it, a multiple of 2^-40, so that it is 0 between vectors that
            differ by rounding alone; NaN where there is none.
        first: int64 [m], the first place in the cell of another vector that is nearer than the limit; `NOBODY` where
            there is none.
        count: int64 [m], how many others are nearer than the limit.
    """

    nearest: np.ndarray
    distance: np.ndarray
    first: np.ndarray
    count: np.ndarray


def surroundings(tape: Tape, bounds: np.ndarray, limit: float) -> Surroundings:
    """Compares each vector with all others of its cell.

    The cost is that of the products of each cell's rows among themselves, the memory that of a block, a chunk and
    their products.

    Args:
        tape: m unit vectors, cell after cell.
        bounds: int [cells + 1], where each cell begins, and m.
        limit: a squared L2 distance of unit vectors, 2 - 2 cos.
    """
    m = len(tape)
    found = Surroundings(np.full(m, NOBODY), np.full(m, np.nan), np.full(m, NOBODY), np.zeros(m, np.int64))
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        for first in range(start, stop, BLOCK):
            block = _Block(tape.rows(first, min(first + BLOCK, stop)), first, limit)
            for begin in range(start, stop, CHUNK):
                block.compare(begin, tape.rows(begin, min(begin + CHUNK, stop)))
            here = slice(first, first + len(block.unit))
            found.nearest[here], found.distance[here] = block.nearest, block.distance
            found.first[here], found.count[here] = block.first, block.count
    return found


class _Block:
    """A run of rows, compared with its cell chunk by chunk; the attributes are those of `Surroundings`."""

    def __init__(self, unit: np.ndarray, start: int, limit: float) -> None:
        self.unit = unit
        self.nearest = np.full(len(unit), NOBODY)
        self.distance = np.full(len(unit), np.nan)
        self.first = np.full(len(unit), NOBODY)
        self.count = np.zeros(len(unit), np.int64)
        self._places = np.arange(start, start + len(unit))
        self._cosine = 1 - limit / 2

    def compare(self, begin: int, others: np.ndarray) -> None:
        """Looks at the vectors from place `begin` on; the chunks have to come in order."""
        products = self.unit @ others.T
        itself = np.flatnonzero((self._places >= begin) & (self._places < begin + len(others)))
        products[itself, self._places[itself] - begin] = -np.inf
        top = products.max(axis=1)
        self._count(begin, products, top, others)
        self._approach(begin, products, top, others)

    def _count(self, begin: int, products: np.ndarray, top: np.ndarray, others: np.ndarray) -> None:
        rows = np.flatnonzero(top > self._cosine - CLOSE)
        near = above(products[rows], self._cosine, self.unit[rows], others)
        self.count[rows] += near.sum(axis=1)
        new = near.any(axis=1) & (self.first[rows] == NOBODY)
        self.first[rows[new]] = begin + near[new].argmax(axis=1)

    def _approach(self, begin: int, products: np.ndarray, top: np.ndarray, others: np.ndarray) -> None:
        """Finds what is nearer than all before; float64 decides where float32 can't tell."""
        bound = np.fmax(top, 1 - self.distance / 2)
        bound[(self.distance == 0) | (top == -np.inf)] = np.inf  # nothing is nearer than an equal vector
        row, other = true_at(products >= (bound - CLOSE)[:, None].astype(np.float32))
        distance = np.empty(len(row))
        for start in range(0, len(row), PAIRS):
            pairs = slice(start, start + PAIRS)
            gaps = np.subtract(self.unit[row[pairs]], others[other[pairs]], dtype=np.float64)
            distance[pairs] = on_grid(np.einsum("ij,ij->i", gaps, gaps), SIMILARITY_BITS)
        order = np.lexsort((other, distance, row))
        row, at = np.unique(row[order], return_index=True)
        distance, other = distance[order[at]], other[order[at]]
        nearer = ~(distance >= self.distance[row])
        self.nearest[row[nearer]] = begin + other[nearer]
        self.distance[row[nearer]] = distance[nearer]
