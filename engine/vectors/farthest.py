"""Farthest-first traversal: each pick is the row that is least similar to all picks before it.

The greedy 2-approximation of k-center (Gonzalez 1985; Sener & Savarese, arXiv 1708.00489, Algorithm 1).
"""

from __future__ import annotations

import numpy as np

from engine.vectors.lazy import Greedy, Key
from engine.vectors.ordered import VECTOR_BITS, Ordered, on_grid
from engine.vectors.unit import CLOSE, true_at

BLOCK = 2048  # rows that are compared with new picks in one go; no result depends on it
NOBODY = -1


class Cover(Greedy):
    """How near each row is to the picks so far; the key of a row is its similarity to them.

    Args:
        rows: n vectors.
        least: rows less similar than this count as equally far.
        similarity: float64 [n], what is known from earlier picks.
        names: int [n], see `Greedy`.

    Attributes:
        nearest: int [n], the place of the most similar pick (of equals the first), for a pick of those before it;
            `NOBODY` where there is none.
        similarity: float64 [n], the exact similarity to it; -inf where there is none.
    """

    def __init__(
        self,
        rows: Ordered,
        least: float = -1.0,
        similarity: np.ndarray | None = None,
        names: np.ndarray | None = None,
    ) -> None:
        super().__init__(np.arange(len(rows)) if names is None else names)
        self.nearest = np.full(len(rows), NOBODY)
        self.similarity = np.full(len(rows), -np.inf) if similarity is None else similarity
        self._rows = rows
        self._least = least

    def keys(self) -> np.ndarray:
        """The similarity to the picks, float64 [n]."""
        keys: np.ndarray = np.maximum(self.similarity, self._least)
        return keys

    def inner(self, few: np.ndarray) -> Cover:
        """The cover of some of the rows."""
        return Cover(self._rows.subset(few), self._least, self.similarity[few], self.names[few])

    def add(self, picks: np.ndarray) -> None:
        """Compares all rows with new picks."""
        place = np.full(len(self._rows), len(picks))
        place[picks] = np.arange(len(picks))
        unit = self._rows.rows(picks)
        for start in range(0, len(self._rows), BLOCK):
            self._compare(start, picks, unit, place[start : start + BLOCK])

    def _compare(self, start: int, picks: np.ndarray, unit: np.ndarray, place: np.ndarray) -> None:
        """Brings a block of rows up to date; `place` is theirs among the new picks, which see earlier ones only."""
        here = slice(start, start + BLOCK)
        products = self._rows.rows(here) @ unit.T
        new = np.flatnonzero(place < len(picks))
        products[new] = np.where(np.arange(len(picks)) < place[new, None], products[new], -np.inf)
        most, so_far = products.max(axis=1), self.similarity[here]
        # What float32 leaves open is decided exactly: rows that may be nearer now, and the picks about as near to them.
        open_ = np.flatnonzero((most > so_far - CLOSE) & (so_far < 1) & ~self.picked[here])
        row, at = true_at(products[open_] > (np.maximum(most, so_far)[open_, None] - CLOSE).astype(np.float32))
        row = start + open_[row]
        exact = self._rows.similarities(row, picks[at])
        order = np.lexsort((-exact, row))  # stable, so of equals the earliest pick is first
        first = order[np.flatnonzero(np.diff(row, prepend=NOBODY))]
        nearer = first[exact[first] > self.similarity[row[first]]]
        self.similarity[row[nearer]] = exact[nearer]
        self.nearest[row[nearer]] = picks[at[nearer]]

    def one_by_one(self, room: int, edge: Key) -> np.ndarray:
        """See `Greedy`; the memory is that of all pairs of rows."""
        among = self._rows.among(np.arange(len(self._rows)))
        keys = self.keys()
        picks: list[int] = []
        while len(picks) < min(room, len(keys)):
            at = int(keys.argmin())
            if (keys[at], self.names[at]) > edge:
                break
            picks.append(at)
            np.maximum(keys, among[at], out=keys)
            keys[at] = np.inf
        return np.array(picks, np.int64)


def farthest_first(rows: Ordered, first: int, budget: int, cap: float | None = None) -> tuple[np.ndarray, Cover]:
    """Picks `budget` rows (or all), beginning with number `first`; of equally far rows the first in the order.

    The cost is that of one matrix product of all rows with the picks and a little more. Besides the vectors a few
    numbers a row are held.

    Args:
        rows: the vectors; their order decides ties.
        first: the number of the first pick.
        budget: how many rows are picked, at least 1.
        cap: rows with a squared L2 distance of unit vectors above this count as equally far.

    Returns:
        The numbers of the picks, int [k], in the order of pick, and what they cover.
    """
    cover = Cover(rows, least=-1.0 if cap is None else 1 - cap / 2)
    start = np.array([first])
    cover.add(start)
    cover.picked[first] = True
    return np.concatenate([start, cover.grow(min(budget, len(rows)) - 1, (np.inf, 0))]), cover


def covered(rows: Ordered, picks: np.ndarray) -> Cover:
    """What picks that were made otherwise cover."""
    cover = Cover(rows)
    cover.add(picks)
    return cover


def nearest_to_mean(rows: Ordered) -> int:
    """The number of the row that is most similar to the mean of all unit vectors; of equals the first."""
    blocks = [slice(start, start + BLOCK) for start in range(0, len(rows), BLOCK)]
    total = sum((rows.rows(block).sum(axis=0, dtype=np.float64) for block in blocks), np.zeros(rows.dim))
    mean = on_grid(total / len(rows), VECTOR_BITS)
    return int(np.concatenate([rows.rows(block) @ mean for block in blocks]).argmax())
