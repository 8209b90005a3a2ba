"""The most probable set of a determinantal point process, greedily: each pick adds the most volume.

The greedy MAP inference of Chen et al., "Fast Greedy MAP Inference for Determinantal Point Process to Improve
Recommendation Diversity" (arXiv 1709.05135, Algorithm 1) for the kernel L_ij = q_i q_j <v_i, v_j>. Their c_i are row
i's coordinates along the picks' directions; as rows are vectors here, the few directions are held instead of n c_i.
"""

from __future__ import annotations

import numpy as np

from engine.vectors.lazy import Greedy, Key
from engine.vectors.ordered import VECTOR_BITS, Ordered, on_grid

BLOCK = 4096  # rows that are brought up to date in one go; no result depends on it
PRODUCT_BITS = 2 * VECTOR_BITS
LEAST = 1e-10
"""A row that would add less than this (d_i^2 of the paper) is in the span of the picks but for rounding."""


class Directions:
    """An orthonormal basis of the picks so far, each direction in two halves on the grid of vectors.

    A product with either half is exact, whatever the BLAS and the block, so that equal rows stay equal.
    """

    def __init__(self, dim: int) -> None:
        self._whole = np.zeros((0, dim))
        self._halves = np.zeros((2, 0, dim))

    def __len__(self) -> int:
        return len(self._whole)

    def append(self, vector: np.ndarray) -> None:
        """Adds the direction of what is new in a vector, float64 [dim]."""
        new = vector
        for _ in range(2):  # the second time against what rounding left over
            new = new - self._whole.T @ (self._whole @ new)
        new /= np.linalg.norm(new)
        coarse = on_grid(new.copy(), VECTOR_BITS)
        fine = on_grid((new - coarse) * 2.0**VECTOR_BITS, VECTOR_BITS)
        self._whole = np.concatenate([self._whole, new[None]])
        self._halves = np.concatenate([self._halves, np.stack([coarse, fine])[:, None]], axis=1)

    def lost(self, rows: np.ndarray, since: int) -> np.ndarray:
        """How much of the squared length of rows, float64 [n, dim], lies along the directions from number `since` on.

        Returns:
            float64 [n], multiples of 2^-50, so that sums of them are exact, too.
        """
        coarse, fine = (rows @ half[since:].T for half in self._halves)
        along = coarse + fine * 2.0**-VECTOR_BITS
        squares: np.ndarray = on_grid(along * along, PRODUCT_BITS).sum(axis=1)
        return squares


class Volume(Greedy):
    """What each row would add to the volume of the picks; the key of a row is that, negative.

    Args:
        rows: n vectors.
        quality: float64 [n], above 0 and at most 1.
        directions: those of the picks so far, shared by all that look at the same picks.
        names: int [n], see `Greedy`.
        squares: float64 [n], the squared length of each vector, which the grid leaves a little off 1.
        left: float64 [n], what of it is not in the span of the directions.
    """

    def __init__(
        self,
        rows: Ordered,
        quality: np.ndarray,
        directions: Directions,
        names: np.ndarray,
        squares: np.ndarray,
        left: np.ndarray,
    ) -> None:
        super().__init__(names)
        self._rows, self._quality, self._directions = rows, quality, directions
        self._squares, self._left = squares, left
        self._seen = len(directions)

    def keys(self) -> np.ndarray:
        """The part of a row's squared length that is new, times its squared quality, negative: float64 [n]."""
        keys: np.ndarray = -(self._quality**2) * (self._left / self._squares)
        return keys

    def inner(self, few: np.ndarray) -> Volume:
        """The state of some of the rows."""
        rows = self._rows.subset(few)
        squares, left = self._squares[few], self._left[few]
        return Volume(rows, self._quality[few], self._directions, self.names[few], squares, left)

    def add(self, picks: np.ndarray) -> None:  # noqa: ARG002  (their directions are there already)
        """Takes the new directions from what is left of all rows."""
        for start in range(0, len(self._rows), BLOCK):
            here = slice(start, start + BLOCK)
            self._left[here] -= self._directions.lost(self._rows.rows(here).astype(np.float64), self._seen)
        self._seen = len(self._directions)

    def one_by_one(self, room: int, edge: Key) -> np.ndarray:
        """See `Greedy`; appends the directions of the picks."""
        rows = self._rows.rows(slice(0, len(self._rows))).astype(np.float64)
        picks: list[int] = []
        while len(picks) < min(room, len(rows)):
            keys = self.keys()
            at = int(keys.argmin())
            if (keys[at], self.names[at]) > edge:
                break
            picks.append(at)
            self._directions.append(rows[at])
            self._left -= self._directions.lost(rows, len(self._directions) - 1)
            self._left[at] = -np.inf
        return np.array(picks, np.int64)


def most_volume(rows: Ordered, quality: np.ndarray, budget: int) -> np.ndarray:
    """Picks up to `budget` rows, each the one that adds most to the volume; of equals the first in the order.

    There are at most as many picks as numbers in a vector, for then every row is in their span. The cost is at most
    that of one product, in float64, of all rows with the picks' directions for each pick; the memory is that of the
    directions and a few numbers a row.

    Args:
        rows: the vectors; their order decides ties.
        quality: float64 [n], above 0 and at most 1.
        budget: how many rows are picked at most.

    Returns:
        The numbers of the picks, int [k], in the order of pick.
    """
    n = len(rows)
    blocks = (rows.rows(slice(start, start + BLOCK)) for start in range(0, n, BLOCK))
    squares = np.concatenate([np.zeros(0), *(np.einsum("ij,ij->i", b, b, dtype=np.float64) for b in blocks)])
    volume = Volume(rows, quality, Directions(rows.dim), np.arange(n), squares, squares.copy())
    return volume.grow(budget, (-LEAST, n))
