"""Unit vectors read from Arrow's memory, and cosines that can be trusted.

Nothing here copies a whole column: rows are scaled to length 1 as they are read, block by block.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

CLOSE = 1e-5
"""Two float32 products of the same unit vectors differ by less than this, whatever the BLAS, block or threads."""

PAIRS = 4096
"""How many pairs are multiplied out in float64 in one go."""


class UnitVectors:
    """The rows of an embedding column as float32 vectors of length 1.

    Attributes:
        dim: the length of a vector.
        norms: float64 [n], the lengths of the vectors as they stand in the column.
        known: bool [n], false where a vector is null, zero or not finite, so that it has no direction.
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.dim = int(column.type.list_size)
        self._chunks = [matrix(chunk, self.dim) for chunk in column.chunks]
        self._starts = np.cumsum([0, *map(len, self._chunks)])
        with np.errstate(over="ignore", invalid="ignore"):
            squares = [np.einsum("ij,ij->i", chunk, chunk, dtype=np.float64) for chunk in self._chunks]
        self.norms = np.sqrt(np.concatenate([np.zeros(0), *squares]))
        self.known = column.is_valid().to_numpy() & np.isfinite(self.norms) & (self.norms > 0)

    def __len__(self) -> int:
        return len(self.norms)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """The unit vectors at these positions, float32 [len(positions), dim]."""
        rows = np.empty((len(positions), self.dim), np.float32)
        chunk_of = np.searchsorted(self._starts, positions, side="right") - 1
        for chunk in np.unique(chunk_of):
            here = chunk_of == chunk
            given = self._chunks[chunk][positions[here] - self._starts[chunk]]
            scaled = np.empty(given.shape, np.float32)  # from float64, without a copy in it
            rows[here] = np.divide(given, self.norms[positions[here], None], out=scaled, casting="unsafe")
        return rows


def cosines(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The cosine of each unit vector to its counterpart, float64 [n]; the same on every machine to 1e-15."""
    products: np.ndarray = np.einsum("ij,ij->i", rows, others, dtype=np.float64).clip(-1, 1)
    return products


def above(products: np.ndarray, limit: float, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which cosines are above the limit, bool [n, m]; where float32 is too coarse to say, float64 decides.

    Args:
        products: float32 [n, m], `rows @ others.T`.
        limit: the cosine that may not be exceeded; nothing exceeds 1.
        rows: float32 [n, dim], unit vectors.
        others: float32 [m, dim], unit vectors.
    """
    if limit >= 1:
        return np.zeros(products.shape, bool)
    over = products > limit
    left, right = true_at(np.abs(products - limit) <= CLOSE)
    for start in range(0, len(left), PAIRS):  # a few at a time: nothing bounds how many there are
        i, j = left[start : start + PAIRS], right[start : start + PAIRS]
        over[i, j] = cosines(rows[i], others[j]) > limit
    return over


def true_at(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`np.nonzero` of bool [n, m], several times as fast where little is true."""
    rows, columns = np.divmod(np.flatnonzero(mask), max(mask.shape[1], 1))
    return rows, columns


def matrix(chunk: pa.FixedSizeListArray, dim: int) -> np.ndarray:
    """A view on the chunk's memory, float [rows, dim]; a copy with NaN only where single numbers are null."""
    values = chunk.values.slice(chunk.offset * dim, len(chunk) * dim)
    rows: np.ndarray = values.to_numpy(zero_copy_only=False).reshape(-1, dim)
    return rows
