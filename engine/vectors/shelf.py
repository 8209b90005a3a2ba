"""Vectors on disk that are put down in any order and read in that of their places, block by block."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engine.errors import StoreError

BLOCK = 16 << 20
"""Bytes of a block as float64, so that what works on one in twice the precision stays small, too."""


class Shelf:
    """A file with a place for each of so many float32 vectors; resident are a block, and what is put down at once.

    Where the cut of a table or the order of its rows must not matter to the last bit, its vectors go here first, each
    to the rank of its row_id: the blocks are then always the same.

    Args:
        path: the file, which must not exist.
        places: how many vectors it has room for; a place that nothing was put in holds zeros.
        dim: the length of a vector.

    Raises:
        StoreError: the file can't be written.
    """

    def __init__(self, path: Path, places: int, dim: int) -> None:
        self.places, self.dim = places, dim
        self._path = path
        self._at_once = max(BLOCK // (8 * dim), 1)
        try:
            with path.open("xb") as file:
                if places and hasattr(os, "posix_fallocate"):  # a full disk must fail here: on a mapped page it kills
                    os.posix_fallocate(file.fileno(), 0, 4 * places * dim)
                file.truncate(4 * places * dim)
        except OSError as e:
            raise StoreError(f"{path} can't be written: {e.strerror}", cure="give the home room for the vectors") from e

    def put(self, places: np.ndarray, vectors: np.ndarray) -> None:
        """Puts vectors, [m, dim] of any float type, in these places, int [m]."""
        if len(places):
            opened = np.memmap(self._path, np.float32, "r+", shape=(self.places, self.dim))
            opened[places] = vectors

    def blocks(self, wanted: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """The vectors in the order of their places, float32 [any, dim]; only those `wanted`, bool [places], if given.

        The cut into blocks depends on the number of places and on nothing else.
        """
        for start in range(0, self.places, self._at_once):
            count = min(self._at_once, self.places - start)
            block = np.fromfile(self._path, np.float32, count * self.dim, offset=4 * start * self.dim)
            vectors = block.reshape(count, self.dim)
            yield vectors if wanted is None else vectors[wanted[start : start + count]]
