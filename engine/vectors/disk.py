"""Unit vectors in an order of choice, for passes that go forward: from memory, or from a file where they don't fit.

A file holds the column's own numbers and is scaled as it is read, so that both give the same vectors to the last bit.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.vectors.unit import UnitVectors, matrix

REGION = 32 << 20
"""Bytes of the float32 vectors that are read in one go and held."""


class Ordered(ABC):
    """The vectors of an order's rows, read region by region; cheap where reading goes forward.

    Resident memory is that of one region and of what `rows` returns, besides a few numbers a row.

    Attributes:
        dim: the length of a vector.
        known: bool [m], false where the row in this place has no direction.
    """

    def __init__(self, dim: int, known: np.ndarray) -> None:
        self.dim = dim
        self.known = known
        self._size = region_rows(dim)
        self._held: tuple[int, np.ndarray] = (-1, np.zeros((0, dim), np.float32))

    def __len__(self) -> int:
        return len(self.known)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """The unit vectors in the places from `start` to before `stop`, float32 [stop - start, dim]; not to be written.

        What stands in the place of a row without direction is of no use.
        """
        pieces = [self._region(region) for region in range(start // self._size, -(-stop // self._size))]
        first = start // self._size * self._size
        joined = pieces[0] if len(pieces) == 1 else np.concatenate(pieces or [self._held[1][:0]])
        return joined[start - first : stop - first]

    def _region(self, region: int) -> np.ndarray:
        if region != self._held[0]:
            start = region * self._size
            self._held = region, self._load(start, min(start + self._size, len(self)))
        return self._held[1]

    @abstractmethod
    def _load(self, start: int, stop: int) -> np.ndarray:
        """The unit vectors of one region, float32 [stop - start, dim]."""


class InMemory(Ordered):
    """The vectors of a column in memory, at the positions that `order` lists, int64 [m]."""

    def __init__(self, column: pa.ChunkedArray, order: np.ndarray) -> None:
        self._vectors, self._order = UnitVectors(column), order
        super().__init__(self._vectors.dim, self._vectors.known[order])

    def _load(self, start: int, stop: int) -> np.ndarray:
        return self._vectors.rows(self._order[start:stop])


class OnDisk(Ordered):
    """The same from a stream, by way of a file that is as large as the vectors it holds.

    The stream is read once, and each part's rows are written to their regions as they come; a region's own order is
    made when it is read. Besides the part at hand this takes 40 bytes for each place.

    Args:
        parts: the column, part by part.
        order: int64 [m], the rows of the stream in the order wanted; a row may stand in it several times.
        path: the file, which must not exist.
    """

    def __init__(self, parts: Iterable[pa.ChunkedArray], order: np.ndarray, path: Path) -> None:
        by_row = np.argsort(order, kind="stable")  # places in the order of the stream
        norms, known = np.zeros(len(order)), np.zeros(len(order), bool)
        with path.open("xb") as file:
            dim, kind = 1, np.dtype(np.float32)
            for places, vectors, given in _placed(parts, order, by_row):
                dim, kind = vectors.dim, given.dtype
                norms[places[0]], known[places[0]] = vectors.norms[places[1]], vectors.known[places[1]]
                _write(file.fileno(), places, given, dim)
        super().__init__(dim, known)
        self._norms, self._kind = norms, kind
        self._file = path.open("rb")
        self._arrived = by_row[np.argsort(by_row // self._size, kind="stable")]  # places as they stand in the file

    def _load(self, start: int, stop: int) -> np.ndarray:
        width = self.dim * self._kind.itemsize
        raw = os.pread(self._file.fileno(), (stop - start) * width, start * width)
        places = self._arrived[start:stop]
        rows = np.empty((stop - start, self.dim), np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            rows[places - start] = np.frombuffer(raw, self._kind).reshape(-1, self.dim) / self._norms[places, None]
        return rows
