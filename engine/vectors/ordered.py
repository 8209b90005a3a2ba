"""Unit vectors in an order of one's own, and similarities that are the same on every machine, to the last bit.

Numbers on a grid make that possible: as long as products and sums need no more than the 53 bits of a float64, nothing
is rounded, and then neither the order of a sum nor the BLAS nor the cut into blocks can matter. Ties between equal
similarities are left to the order, which should be total: that of row_id, or of score and row_id.
"""

from __future__ import annotations

import numpy as np

from engine.vectors.unit import UnitVectors

HELD = 2**27
"""Bytes of scaled vectors that stand in memory; what is beyond is scaled anew each time that it is read."""

AT_ONCE = 128  # rows that are scaled or compared one by one in one go: few enough to stay in the processor's cache

VECTOR_BITS = 25
"""A number of a vector is a multiple of 2^-25, about what float32 resolves; products are multiples of 2^-50."""

SIMILARITY_BITS = 40
"""A similarity is a multiple of 2^-40, so that vectors which differ by rounding alone are exactly equal."""


class Ordered:
    """Rows with a vector, numbered by their places in an order.

    Attributes:
        order: int [n], the position of each row in the table.
        dim: the length of a vector.
    """

    def __init__(self, vectors: UnitVectors, order: np.ndarray) -> None:
        self.order = order
        self.dim = vectors.dim
        self._vectors = vectors
        self._held = self._read(order[: HELD // (4 * max(vectors.dim, 1))])

    def __len__(self) -> int:
        return len(self.order)

    def rows(self, numbers: np.ndarray | slice) -> np.ndarray:
        """The unit vectors of these rows, float32 [k, dim]; not to be written to."""
        highest = numbers.stop - 1 if isinstance(numbers, slice) else numbers.max(initial=-1)
        if min(highest, len(self) - 1) < len(self._held):
            return self._held[numbers]
        return self._read(self.order[numbers])

    def subset(self, numbers: np.ndarray) -> Ordered:
        """Only these rows, numbered anew in the order given."""
        return Ordered(self._vectors, self.order[numbers])

    def similarities(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The exact similarity of each row to its counterpart, float64 [n].

        It is 1 - |u - v|^2 / 2, for unit vectors the cosine: 1 exactly for equal vectors, and never more.
        """
        values, room = np.empty(len(rows)), np.empty((AT_ONCE, self.dim))
        for start in range(0, len(rows), AT_ONCE):
            pairs = slice(start, start + AT_ONCE)
            some = rows[pairs]
            gaps = np.subtract(self.rows(some), self.rows(others[pairs]), out=room[: len(some)], dtype=np.float64)
            values[pairs] = 1 - np.einsum("ij,ij->i", gaps, gaps) / 2
        return on_grid(values, SIMILARITY_BITS)

    def among(self, numbers: np.ndarray) -> np.ndarray:
        """The exact similarities between all of these rows, float64 [k, k]."""
        wide = self.rows(numbers).astype(np.float64)
        squares = np.einsum("ij,ij->i", wide, wide)
        return on_grid(wide @ wide.T + (1 - (squares[:, None] + squares) / 2), SIMILARITY_BITS)

    def _read(self, positions: np.ndarray) -> np.ndarray:
        rows = np.empty((len(positions), self.dim), np.float32)
        for start in range(0, len(positions), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            rows[some] = on_grid(self._vectors.rows(positions[some]), VECTOR_BITS)
        return rows


def on_grid(values: np.ndarray, bits: int) -> np.ndarray:
    """The values rounded to multiples of 2^-bits, in place."""
    values *= 2.0**bits
    np.rint(values, out=values)
    values *= 2.0**-bits
    return values
