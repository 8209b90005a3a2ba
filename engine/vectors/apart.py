"""Rows that differ from each other: one after the other, each kept that resembles none kept before; exact, by blocks.

Also the rule itself, `first_come`, for whoever has all pairs of a block at hand.
"""

from __future__ import annotations

import numpy as np

from engine.vectors.disk import Tape
from engine.vectors.pile import Pile
from engine.vectors.unit import CLOSE, above, cosines, true_at

NOBODY = -1
BLOCK = 1024  # rows looked at in one go; no verdict depends on it


def greedy(tape: Tape, budget: int, limit: float) -> Walk:
    """Keeps, in the order of a tape, each vector whose cosine to every one kept before is at most `limit`.

    The result is that of looking at one row after the other, although a block is looked at in one go. The cost is
    that of one matrix product of the looked-at rows with the picks, less what rows save that fall early; the memory
    is that of the picks and of one block against one chunk of them. The tape is read as far as the budget needs.
    """
    walk = Walk(tape, limit)
    for start in range(0, len(tape), BLOCK):
        walk.examine(start, min(start + BLOCK, len(tape)), budget)
        if len(walk.picks) == budget:
            break
    return walk


class Walk:
    """What a walk has kept and decided so far, by places on the tape.

    Attributes:
        picks: int64 [k], the places of the kept rows in the order of pick.
        decided: bool [m], the rows that were kept or found to be near-duplicates.
        nearest: int64 [m], for a near-duplicate the first pick above the limit, for a kept row the most similar
            earlier pick (the first of equals); `NOBODY` where there is none.
        similarity: float32 [m], the cosine to that pick.
    """

    def __init__(self, tape: Tape, limit: float) -> None:
        self.picks = np.zeros(0, np.int64)
        self.decided = np.zeros(len(tape), bool)
        self.nearest = np.full(len(tape), NOBODY)
        self.similarity = np.zeros(len(tape), np.float32)
        self._tape = tape
        self._limit = limit
        self._pile = Pile(tape.dim)

    def examine(self, start: int, stop: int, budget: int) -> None:
        """Decides the rows in these places that have a vector, up to the one that fills the budget."""
        known = self._tape.known[start:stop]
        block = Block(self._tape.rows(start, stop)[known], self._limit)
        for first, chunk in self._pile:
            block.compare(first, chunk)
        block.settle(len(self._pile))
        room = budget - len(self.picks)
        end = np.flatnonzero(block.kept)[room - 1] + 1 if block.kept.sum() >= room else len(block.kept)
        self._record((start + np.flatnonzero(known))[:end], block.unit[:end], block.kept[:end], block.nearest[:end])

    def _record(self, rows: np.ndarray, unit: np.ndarray, kept: np.ndarray, nearest: np.ndarray) -> None:
        self.picks = np.concatenate([self.picks, rows[kept]])
        self._pile.add(unit[kept])
        self.decided[rows] = True
        named = nearest != NOBODY
        self.nearest[rows[named]] = self.picks[nearest[named]]
        self.similarity[rows[named]] = cosines(unit[named], self._pile.rows(nearest[named]))


class Block:
    """A run of rows on their way to a verdict: against the picks chunk by chunk, then among themselves.

    Attributes:
        unit: float32 [b, dim], unit vectors in the order of the walk.
        kept: bool [b], not yet dropped.
        nearest: int [b], the number of the pick that the row's verdict names; `NOBODY` at first.
    """

    def __init__(self, unit: np.ndarray, limit: float) -> None:
        self.unit = unit
        self.kept = np.ones(len(unit), bool)
        self.nearest = np.full(len(unit), NOBODY)
        self._best = np.full(len(unit), -np.inf, np.float32)
        self._limit = limit

    def compare(self, first: int, picks: np.ndarray) -> None:
        """Drops the rows above the limit to one of these picks, of which the first has the number `first`."""
        live = np.flatnonzero(self.kept)  # what has fallen costs no further products
        rows = self.unit[live]
        products = rows @ picks.T
        self._note(live, products, first)
        doubtful = np.flatnonzero(self._best[live] > self._limit - CLOSE)
        over = above(products[doubtful], self._limit, rows[doubtful], picks)
        fallen = over.any(axis=1)
        self._drop(live[doubtful[fallen]], first + over[fallen].argmax(axis=1))

    def settle(self, first: int) -> None:
        """Decides between the rows that are left; those that are kept are numbered from `first` on."""
        live = np.flatnonzero(self.kept)
        if not len(live):
            return
        rows = self.unit[live]
        products = rows @ rows.T
        near = np.tril(above(products, self._limit, rows, rows), -1)
        stays = first_come(near)
        self._drop(live[~stays], first + near[~stays][:, stays].argmax(axis=1))
        earlier = np.tri(stays.sum(), k=-1, dtype=bool)
        self._note(live[stays], np.where(earlier, products[stays][:, stays], -np.inf), first)

    def _note(self, live: np.ndarray, products: np.ndarray, first: int) -> None:
        """Remembers the most similar of the picks so far; of equals the first."""
        at = products.argmax(axis=1)
        top = products[np.arange(len(live)), at]
        better = top > self._best[live]
        self._best[live[better]] = top[better]
        self.nearest[live[better]] = first + at[better]

    def _drop(self, fallen: np.ndarray, picks: np.ndarray) -> None:
        self.kept[fallen] = False
        self.nearest[fallen] = picks


def first_come(near: np.ndarray) -> np.ndarray:
    """Which rows are kept, bool [n], if a row falls to any kept row before it that it is near to.

    Instead of row by row this goes in rounds: a row is kept as soon as every earlier row near it has fallen.

    Args:
        near: bool [n, n], true only below the diagonal.
    """
    kept = np.zeros(len(near), bool)
    undecided = np.ones(len(near), bool)
    later, earlier = true_at(near)
    while undecided.any():
        free = undecided.copy()
        free[later] = False
        kept |= free
        undecided &= ~free
        undecided[later[free[earlier]]] = False
        open_pair = undecided[later] & undecided[earlier]
        later, earlier = later[open_pair], earlier[open_pair]
    return kept
