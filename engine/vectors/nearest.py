"""The k nearest others of each row: exact, block by block, equals in a given order.

It costs one matrix product of all rows with all rows, and the memory of two blocks and their products. Beyond some
200,000 rows `index` finds most neighbours in much less time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.vectors.ordered import Ordered
from engine.vectors.unit import CLOSE, true_at

BLOCK = 2048  # rows against so many others in one go; no result depends on it


@dataclass(frozen=True)
class Nearest:
    """The nearest others of n rows, by falling similarity; equals in the rows' order.

    Attributes:
        rows: int [n, k], their numbers.
        similarity: float64 [n, k], as `Ordered.similarities` gives them; 2 - 2 s is the squared L2 distance.
    """

    rows: np.ndarray
    similarity: np.ndarray


def nearest_k(vectors: Ordered, k: int) -> Nearest:
    """The k nearest others of each row, or all others where there are fewer than k."""
    n = len(vectors)
    k = min(k, max(n - 1, 0))
    found = Nearest(np.empty((n, k), np.int64), np.empty((n, k)))
    for start in range(0, n if k else 0, BLOCK):
        block = _Block(vectors, start, k)
        for first in range(0, n, BLOCK):
            block.compare(first)
        found.rows[start : start + BLOCK], found.similarity[start : start + BLOCK] = block.nearest()
    return found


class _Block:
    """A run of rows that meets all rows, run after run, and remembers what may be among the k nearest.

    A pair comes with its float32 product. Pairs that are clearly farther than k others of their row are forgotten
    from time to time; at the end, or where ties leave too many, exact similarities decide.
    """

    def __init__(self, vectors: Ordered, start: int, k: int) -> None:
        self._vectors, self._start, self._k = vectors, start, k
        self._unit = vectors.rows(slice(start, start + BLOCK))
        self._row, self._other, self._product = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        self._bound = np.full(len(self._unit), -np.inf, np.float32)  # what a further product has to exceed

    def compare(self, first: int) -> None:
        """Meets the run of rows that begins with the number `first`; the runs have to come in order."""
        products = self._unit @ self._vectors.rows(slice(first, first + BLOCK)).T
        if first == self._start:
            np.fill_diagonal(products, -np.inf)
        if first == 0 and products.shape[1] >= self._k:
            self._bound = np.partition(products, -self._k, axis=1)[:, -self._k] - np.float32(2 * CLOSE)
        row, other = true_at(products > self._bound[:, None])
        self._row = np.concatenate([self._row, row])
        self._other = np.concatenate([self._other, first + other])
        self._product = np.concatenate([self._product, products[row, other]])
        for make_room in (self._thin_out, self._decide):
            if len(self._row) > 3 * self._k * len(self._unit):
                make_room()

    def nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the k nearest of each row, int [b, k], and their similarities, float64 [b, k]."""
        self._thin_out()
        self._decide()
        shape = (len(self._unit), self._k)
        return self._other.reshape(shape), self._product.reshape(shape)

    def _thin_out(self) -> None:
        """Forgets the pairs whose product is surely below those of k others of the row."""
        lowest = (self._kth(np.lexsort((-self._product, self._row))) - 2 * CLOSE).astype(np.float32)
        self._bound = np.maximum(self._bound, lowest)
        self._keep(np.flatnonzero(self._product >= lowest[self._row]))

    def _decide(self) -> None:
        """Keeps the k nearest pairs of each row; one with k equal vectors needs no others, for they come later."""
        self._product = self._vectors.similarities(self._start + self._row, self._other)
        order = np.lexsort((self._other, -self._product, self._row))
        kth = self._kth(order)
        self._bound = np.where(kth == 1, np.inf, kth - 2 * CLOSE).astype(np.float32)
        place = np.arange(len(order)) - np.searchsorted(self._row[order], self._row[order])
        self._keep(order[place < self._k])

    def _kth(self, order: np.ndarray) -> np.ndarray:
        """The k-th product of each row with the pairs in this order, float64 [b]; -inf where there are fewer."""
        rows = np.arange(len(self._unit))
        first, end = (np.searchsorted(self._row[order], rows, side) for side in ("left", "right"))
        enough = end - first >= self._k
        kth = np.full(len(rows), -np.inf)
        kth[enough] = self._product[order[first[enough] + self._k - 1]]
        return kth

    def _keep(self, pairs: np.ndarray) -> None:
        self._row, self._other, self._product = self._row[pairs], self._other[pairs], self._product[pairs]
