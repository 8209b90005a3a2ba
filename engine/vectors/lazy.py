"""Greedy picks with few passes over the rows: the lazy evaluation of Minoux (1978), by sets of rows instead of a heap.

Where a row's key can only get worse as others are picked, the next picks may come from a small set of the best rows, as
long as its best is better than every row outside was at the last pass. Passes then meet many picks at once, as matrix
products. The picks are those of a pass after each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

SUBSETS = (2048, 256)
"""Rows that are looked at between two passes over all rows, and between two over those; no pick depends on them."""

Key = tuple[float, int]  # of a row; the smallest is picked, by its number among equals


class Greedy(ABC):
    """Rows of which one after another is picked.

    Attributes:
        names: int [n], rising; a row's number among all rows.
        picked: bool [n].
    """

    def __init__(self, names: np.ndarray) -> None:
        self.names = names
        self.picked = np.zeros(len(names), bool)

    def grow(self, room: int, edge: Key, level: int = 0) -> np.ndarray:
        """Picks up to `room` further rows, as long as the best is not behind `edge`.

        Args:
            room: how many.
            edge: the last key that may be picked.
            level: how often the rows were narrowed down already.

        Returns:
            int [at most room], their places in `names`, in the order of pick.
        """
        if level == len(SUBSETS):
            return self.one_by_one(room, edge)
        picks = np.zeros(0, np.int64)
        while len(picks) < room:
            few, first, last = self._best(SUBSETS[level])
            if not len(few) or first > edge:
                break
            new = few[self.inner(few).grow(room - len(picks), min(edge, last), level + 1)]
            self.add(new)
            self.picked[new] = True
            picks = np.concatenate([picks, new])
        return picks

    def _best(self, size: int) -> tuple[np.ndarray, Key, Key]:
        """The places of so many of the best rows, rising, and the keys of the first and the last to be picked."""
        keys = np.where(self.picked, np.inf, self.keys())
        size = min(size, len(keys))
        bound = np.partition(keys, size - 1)[size - 1]
        good = np.flatnonzero((keys <= bound) & ~self.picked)
        few = good[np.argsort(keys[good], kind="stable")[:size]]
        first, last = ((keys[i], self.names[i]) for i in (few[0], few[-1])) if len(few) else ((np.inf, 0),) * 2
        return np.sort(few), first, last

    @abstractmethod
    def keys(self) -> np.ndarray:
        """How good each row is, float64 [n]: the smallest is the best."""

    @abstractmethod
    def inner(self, few: np.ndarray) -> Greedy:
        """A state of its own for some of the rows, given by rising places."""

    @abstractmethod
    def add(self, picks: np.ndarray) -> None:
        """Brings the keys up to date after new picks, in the order of pick."""

    @abstractmethod
    def one_by_one(self, room: int, edge: Key) -> np.ndarray:
        """What `grow` does, with a step for each pick; only for few rows."""
