"""Farthest-first traversal: each pick is the row that is least similar to all picks before it.

The greedy 2-approximation of k-center (Gonzalez 1985; Sener & Savarese, arXiv 1708.00489, Algorithm 1). The picks are
those of one pass over all rows for each, but passes are put off: similarities to the picks only rise, so picks may
come from a small set of far rows as long as its farthest is farther than every row outside was at the last pass.
"""

from __future__ import annotations

import numpy as np

from engine.vectors.ordered import VECTOR_BITS, Ordered, on_grid
from engine.vectors.unit import CLOSE, true_at

SUBSETS = (4096, 256)
"""Rows that are looked at between two passes over all rows, and between two passes over those."""

BLOCK = 4096  # rows that are compared with new picks in one go
NOBODY = -1
Key = tuple[float, int]  # how far a row is, least similar first, and its place in the order


class Cover:
    """How near each row is to the picks so far.

    Attributes:
        picked: bool [n].
        nearest: int [n], the number of the most similar pick (of equals the first), for a pick of those before it;
            `NOBODY` where there is none.
        similarity: float64 [n], the exact similarity to it; -inf where there is none.
    """

    def __init__(self, rows: Ordered, similarity: np.ndarray, names: np.ndarray, least: float) -> None:
        self.picked = np.zeros(len(rows), bool)
        self.nearest = np.full(len(rows), NOBODY)
        self.similarity = similarity
        self._rows = rows
        self._names = names  # int [n], rising: which of equally far rows goes first
        self._least = least  # rows less similar than this count as equally far

    def grow(self, room: int, edge: Key, subsets: tuple[int, ...] = SUBSETS) -> np.ndarray:
        """Picks up to `room` further rows, as long as the farthest is not behind `edge`; their numbers, int [k]."""
        if not subsets:
            return self._one_by_one(room, edge)
        picks = np.zeros(0, np.int64)
        while len(picks) < room:
            few, first, last = self._farthest(subsets[0])
            if not len(few) or first > edge:
                break
            inner = Cover(self._rows.subset(few), self.similarity[few], self._names[few], self._least)
            new = few[inner.grow(room - len(picks), min(edge, last), subsets[1:])]
            self.add(new)
            picks = np.concatenate([picks, new])
        return picks

    def add(self, picks: np.ndarray) -> None:
        """Compares the rows with new picks, which are given in the order of pick."""
        place = np.full(len(self._rows), len(picks))
        place[picks] = np.arange(len(picks))
        unit = self._rows.rows(picks)
        for start in range(0, len(self._rows), BLOCK):
            self._compare(start, picks, unit, place[start : start + BLOCK])
        self.picked[picks] = True

    def _compare(self, start: int, picks: np.ndarray, unit: np.ndarray, place: np.ndarray) -> None:
        here = slice(start, start + BLOCK)
        products = self._rows.rows(here) @ unit.T
        new = np.flatnonzero(place < len(picks))
        products[new] = np.where(np.arange(len(picks)) < place[new, None], products[new], -np.inf)
        most, so_far = products.max(axis=1), self.similarity[here]
        open_ = np.flatnonzero((most > so_far - CLOSE) & (so_far < 1) & ~self.picked[here])
        row, at = true_at(products[open_] > (np.maximum(most, so_far)[open_, None] - CLOSE).astype(np.float32))
        row = start + open_[row]
        exact = self._rows.similarities(row, picks[at])
        order = np.lexsort((-exact, row))
        first = order[np.flatnonzero(np.diff(row, prepend=NOBODY))]
        nearer = first[exact[first] > self.similarity[row[first]]]
        self.similarity[row[nearer]] = exact[nearer]
        self.nearest[row[nearer]] = picks[at[nearer]]

    def _farthest(self, size: int) -> tuple[np.ndarray, Key, Key]:
        """The numbers of so many of the farthest rows, rising, and the keys of the first and the last to be picked."""
        far = np.where(self.picked, np.inf, np.maximum(self.similarity, self._least))
        size = min(size, len(far))
        bound = np.partition(far, size - 1)[size - 1]
        near_enough = np.flatnonzero((far <= bound) & ~self.picked)
        few = near_enough[np.argsort(far[near_enough], kind="stable")[:size]]
        first, last = ((far[i], self._names[i]) for i in (few[0], few[-1])) if len(few) else ((np.inf, 0),) * 2
        return np.sort(few), first, last

    def _one_by_one(self, room: int, edge: Key) -> np.ndarray:
        """The same with one step for each pick, for few rows."""
        among = self._rows.among(np.arange(len(self._rows)))
        far = np.maximum(self.similarity, self._least)
        picks: list[int] = []
        while len(picks) < min(room, len(far)):
            at = int(far.argmin())
            if (far[at], self._names[at]) > edge:
                break
            picks.append(at)
            np.maximum(far, among[at], out=far)
            far[at] = np.inf
        return np.array(picks, np.int64)


def farthest_first(rows: Ordered, first: int, budget: int, cap: float | None = None) -> tuple[np.ndarray, Cover]:
    """Picks `budget` rows (or all), beginning with number `first`; of equally far rows the first in the order.

    The cost is that of one matrix product of all rows with the picks and a little more. Besides the vectors a few
    numbers a row are held.

    Args:
        rows: the vectors; their order decides ties.
        first: the number of the first pick.
        budget: how many rows are picked.
        cap: rows with a squared L2 distance of unit vectors above this count as equally far.

    Returns:
        The numbers of the picks, int [k], in the order of pick, and what they cover.
    """
    n = len(rows)
    cover = Cover(rows, np.full(n, -np.inf), np.arange(n), -1.0 if cap is None else 1 - cap / 2)
    start = np.array([first])
    cover.add(start)
    return np.concatenate([start, cover.grow(min(budget, n) - 1, (np.inf, n))]), cover


def nearest_to_mean(rows: Ordered) -> int:
    """The number of the row that is most similar to the mean of all unit vectors; of equals the first."""
    blocks = [slice(start, start + BLOCK) for start in range(0, len(rows), BLOCK)]
    total = sum((rows.rows(block).sum(axis=0, dtype=np.float64) for block in blocks), np.zeros(rows.dim))
    mean = on_grid(total / len(rows), VECTOR_BITS)
    return int(np.concatenate([rows.rows(block) @ mean for block in blocks]).argmax())
