"""A growing set of vectors that later ones are compared with, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


class Pile:
    """Vectors that are added in blocks and read in chunks, so that growing moves nothing.

    The first chunks are small, so that a row that falls to an early vector skips most of the others; then they
    double, so that there are few products to wait for.
    """

    SMALLEST, LARGEST = 512, 4096

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._chunks: list[np.ndarray] = []
        self._firsts = [0]  # the number of each chunk's first vector, and of the first that has no chunk yet
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """The number of a chunk's first vector, and the chunk: float32 [at most LARGEST, dim]."""
        for first, chunk in zip(self._firsts, self._chunks, strict=False):
            yield first, chunk[: self._size - first]

    def add(self, rows: np.ndarray) -> None:
        """Puts float32 [any, dim] on top."""
        while len(rows):
            if self._size == self._firsts[-1]:
                room = min(max(self._size, self.SMALLEST), self.LARGEST)
                self._chunks.append(np.empty((room, self._dim), np.float32))
                self._firsts.append(self._size + room)
            used = self._size - self._firsts[-2]
            part, rows = np.split(rows, [self._firsts[-1] - self._size])
            self._chunks[-1][used : used + len(part)] = part
            self._size += len(part)

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """The vectors of these numbers, float32 [len(numbers), dim]."""
        rows = np.empty((len(numbers), self._dim), np.float32)
        chunk_of = np.searchsorted(self._firsts, numbers, side="right") - 1
        for chunk in np.unique(chunk_of):
            here = chunk_of == chunk
            rows[here] = self._chunks[chunk][numbers[here] - self._firsts[chunk]]
        return rows
