"""The first earlier vector that each vector resembles, exact, for vectors that stand in cells on a tape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.vectors.disk import Tape
from engine.vectors.unit import CLOSE, above, cosines

BLOCK = 1024  # rows looked at in one go; no result depends on it
SMALLEST, LARGEST = 512, 4096  # rows that a block is compared with in one go
NOBODY = -1


@dataclass(frozen=True)
class Repeats:
    """What each of m vectors repeats.

    Attributes:
        first: int64 [m], the place of the first vector before it in its cell above the limit; `NOBODY` where there is
            none.
        cosine: float32 [m], to that vector; 0 where there is none.
    """

    first: np.ndarray
    cosine: np.ndarray


def first_repeats(tape: Tape, bounds: np.ndarray, limit: float) -> Repeats:
    """Compares each vector with those before it in its cell, until one has a cosine above the limit.

    The cost is at most that of half the products of each cell's rows among themselves; a row that repeats an early
    one costs next to nothing. A cell too large to be held is read again for each block of its rows.

    Args:
        tape: m vectors, cell after cell, in each cell the first come first.
        bounds: int [cells + 1], where each cell begins, and m.
        limit: the cosine that a repeat exceeds.
    """
    found = Repeats(np.full(len(tape), NOBODY), np.zeros(len(tape), np.float32))
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        for first in range(start, stop, BLOCK):
            _block(tape, start, first, min(first + BLOCK, stop), limit, found)
    return found


def _block(tape: Tape, start: int, first: int, stop: int, limit: float, found: Repeats) -> None:
    """The repeats among the rows from `first` to `stop` of the cell that begins at `start`."""
    unit, live = tape.rows(first, stop), np.arange(stop - first)
    for begin, end in _spans(start, stop):
        others, rows = tape.rows(begin, end), unit[live]
        products = rows @ others.T
        if end > first:  # only earlier rows count
            products[np.arange(begin, end) >= (first + live)[:, None]] = -np.inf
        doubtful = np.flatnonzero(products.max(axis=1) > limit - CLOSE)
        over = above(products[doubtful], limit, rows[doubtful], others)
        hit = over.any(axis=1)
        fallen, at = doubtful[hit], over[hit].argmax(axis=1)
        found.first[first + live[fallen]] = begin + at
        found.cosine[first + live[fallen]] = cosines(rows[fallen], others[at])
        live = np.delete(live, fallen)
        if not len(live):
            break


def _spans(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Runs of rows, small at first, so that a row that falls to an early one skips most of the others."""
    size = SMALLEST
    while start < stop:
        yield start, min(start + size, stop)
        start, size = start + size, min(2 * size, LARGEST)
