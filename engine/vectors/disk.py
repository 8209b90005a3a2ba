"""Unit vectors in an order of choice, for passes that go forward: from memory, or from a file where they don't fit.

A file holds the column's own numbers and is scaled as it is read, so that both give the same vectors to the last bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from engine.errors import StoreError
from engine.vectors.unit import UnitVectors, matrix

REGION = 16 << 20
"""Bytes of the float32 vectors that are read from a file in one go and held."""

SLICE = 4 << 20
"""Bytes of the float32 vectors that are scaled in one go where they are in memory."""


class Tape(ABC):
    """The vectors of an order's rows, read region by region; cheap where reading goes forward.

    Resident memory is that of two regions and of what `rows` returns, besides a few numbers a row.

    Attributes:
        dim: the length of a vector.
        known: bool [m], false where the row in this place has no direction.
    """

    def __init__(self, dim: int, known: np.ndarray, region: int) -> None:
        self.dim = dim
        self.known = known
        self._size = max(region // (4 * dim), 1)  # rows of a region
        self._held: dict[int, np.ndarray] = {}  # the last two: a run of rows may lie across a border

    def __len__(self) -> int:
        return len(self.known)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """The unit vectors in the places from `start` to before `stop`, float32 [stop - start, dim]; not to be written.

        What stands in the place of a row without direction is of no use.
        """
        pieces = [self._region(region) for region in range(start // self._size, -(-stop // self._size))]
        first = start // self._size * self._size
        joined = pieces[0] if len(pieces) == 1 else np.concatenate([np.zeros((0, self.dim), np.float32), *pieces])
        return joined[start - first : stop - first]

    def _region(self, region: int) -> np.ndarray:
        if region not in self._held:
            start = region * self._size
            self._held = dict([*self._held.items()][-1:])
            self._held[region] = self._load(start, min(start + self._size, len(self)))
        return self._held[region]

    @abstractmethod
    def _load(self, start: int, stop: int) -> np.ndarray:
        """The unit vectors of one region, float32 [stop - start, dim]."""


class MemoryTape(Tape):
    """The vectors of a column in memory, at the positions that `order` lists, int64 [m]."""

    def __init__(self, column: pa.ChunkedArray, order: np.ndarray) -> None:
        self._vectors, self._order = UnitVectors(column), order
        super().__init__(self._vectors.dim, self._vectors.known[order], SLICE)

    def _load(self, start: int, stop: int) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._vectors.rows(self._order[start:stop])


class DiskTape(Tape):
    """The same from a stream, by way of a file that is as large as the vectors it holds.

    The stream is read once; each part's rows are appended to their regions as they come, and a region is put in order
    when it is read. Resident are the part at hand, a few regions, and some 40 bytes for each place.

    Args:
        kind: the column's type.
        parts: the column, part by part.
        order: int64 [m], the rows of the stream in the order wanted; a row may stand in it several times.
        path: the file, which must not exist.

    Raises:
        StoreError: the file can't be written.
    """

    def __init__(self, kind: pa.DataType, parts: Iterable[pa.ChunkedArray], order: np.ndarray, path: Path) -> None:
        super().__init__(kind.list_size, np.zeros(len(order), bool), REGION)
        self._kind = np.dtype(kind.value_type.to_pandas_dtype())
        self._norms = np.zeros(len(order))
        self._path = path
        places = np.argsort(order, kind="stable")  # in the order of the stream
        with _written(path) as file:
            self._write(file, parts, places, order[places])
        self._arrived = places[np.argsort(places // self._size, kind="stable")]  # as they stand in the file

    def _write(self, file: BinaryIO, parts: Iterable[pa.ChunkedArray], places: np.ndarray, wanted: np.ndarray) -> None:
        """Appends each part's rows to the regions of their places; `wanted` are the rows of the stream, sorted."""
        used = np.zeros(-(-len(places) // self._size), np.int64)  # rows of each region so far
        start = 0
        for column in parts:
            here = slice(*np.searchsorted(wanted, [start, start + len(column)]))
            at = places[here]
            at_region = np.argsort(at // self._size, kind="stable")
            at, rows = at[at_region], (wanted[here] - start)[at_region]
            vectors = UnitVectors(column)
            self._norms[at], self.known[at] = vectors.norms[rows], vectors.known[rows]
            regions, begins = np.unique(at // self._size, return_index=True)
            given = _numbers(column)
            for region, run in zip(regions, np.split(rows, begins)[1:], strict=True):
                file.seek((region * self._size + used[region]) * self.dim * self._kind.itemsize)
                file.write(given[run].data)
                used[region] += len(run)
            start += len(column)

    def _load(self, start: int, stop: int) -> np.ndarray:
        count, begin = (stop - start) * self.dim, start * self.dim * self._kind.itemsize
        given = np.fromfile(self._path, self._kind, count, offset=begin).reshape(-1, self.dim)
        places = self._arrived[start:stop]
        rows, scaled = np.empty((2, *given.shape), np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            rows[places - start] = np.divide(given, self._norms[places, None], out=scaled, casting="unsafe")
        return rows


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("xb") as file:
            yield file
    except OSError as e:
        raise StoreError(
            f"{path} can't be written: {e.strerror}", cure="give the home as much free room as the embeddings take"
        ) from e


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """The column's own numbers, float [n, dim]."""
    dim = int(column.type.list_size)
    chunks = [matrix(chunk, dim) for chunk in column.chunks]
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
