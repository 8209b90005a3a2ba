"""Facility location: picks that stand for all rows, each row being represented by the pick most similar to it.

The objective is the sum over all rows of the similarity to their nearest pick, plus a bonus for each pick. Similarities
are those of a graph of nearest neighbours, all others count as 0. They are held as whole numbers, so that the gains
of picks are exact and ties are ties.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from engine.vectors.nearest import Nearest

ONE = 2**30
"""The similarity of a row to itself: similarities and bonuses are whole numbers of 2^-30."""

EVALUATED = 32  # stale gains that are evaluated in one go; no result depends on it
CHUNK = 8192  # the same for the first gains of all rows
NOBODY = -1


@dataclass(frozen=True)
class Graph:
    """Which rows are similar, in both directions, each row to itself, too.

    Attributes:
        starts: int64 [n + 1], where each row's neighbours begin.
        rows: int32 [m], the neighbours, row after row.
        weights: int32 [m], how similar they are, from 1 to `ONE`.
    """

    starts: np.ndarray
    rows: np.ndarray
    weights: np.ndarray

    def edges(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the edges of some rows stand, int64 [e], and where in that each row's begin, int64 [len(rows)]."""
        counts = self.starts[rows + 1] - self.starts[rows]
        begins = np.cumsum(counts) - counts
        return np.arange(counts.sum()) + np.repeat(self.starts[rows] - begins, counts), begins


def graph_of(nearest: Nearest) -> Graph:
    """The graph of nearest neighbours: two rows are joined if either is among the nearest of the other.

    Its memory is at most that of 16 bytes for each neighbour, for a while 4 times as much.
    """
    n, k = nearest.rows.shape
    weights = np.rint(nearest.similarity * ONE).astype(np.int32).ravel()
    one, other = np.repeat(np.arange(n), k), nearest.rows.ravel()
    near = weights > 0
    pairs = np.concatenate([one[near] * n + other[near], other[near] * n + one[near], np.arange(n) * (n + 1)])
    pairs, at = np.unique(pairs, return_index=True)
    weights = np.concatenate([weights[near], weights[near], np.full(n, ONE, np.int32)])[at]
    starts = np.searchsorted(pairs, np.arange(n + 1) * n)
    return Graph(starts, (pairs % max(n, 1)).astype(np.int32), weights)


class Facility:
    """What the picks so far stand for.

    Attributes:
        nearest: int64 [n], the pick that represents each row (of equals the first), for a pick the one that did
            before it; `NOBODY` where no similar row is picked.
        similarity: float64 [n], to that pick.

    Args:
        graph: which rows are similar.
        bonus: int64 [n], what a pick is worth by itself, in whole numbers of 2^-30.
    """

    def __init__(self, graph: Graph, bonus: np.ndarray) -> None:
        self.nearest = np.full(len(bonus), NOBODY)
        self._graph, self._bonus = graph, bonus
        self._best = np.zeros(len(bonus), np.int32)  # to the nearest pick; a pick's own is that before it
        self._picked = np.zeros(len(bonus), bool)

    @property
    def similarity(self) -> np.ndarray:
        """See the class."""
        return self._best / ONE

    def gains(self, rows: np.ndarray) -> np.ndarray:
        """What each of these rows would add as the next pick, int64 [len(rows)]."""
        edges, begins = self._graph.edges(rows)
        over = self._graph.weights[edges] - self._reached(self._graph.rows[edges])
        gains: np.ndarray = np.add.reduceat(np.maximum(over, 0), begins, dtype=np.int64) + self._bonus[rows]
        return gains

    def pick(self, row: int) -> np.ndarray:
        """Adds a pick; the rows that it represents better than those before it, int [any]."""
        here = slice(self._graph.starts[row], self._graph.starts[row + 1])
        rows, weights = self._graph.rows[here], self._graph.weights[here]
        better = weights > self._reached(rows)
        gained = rows[better]
        others = gained != row
        self._best[gained[others]], self.nearest[gained[others]] = weights[better][others], row
        self._picked[row] = True
        return gained

    def _reached(self, rows: np.ndarray) -> np.ndarray:
        return np.where(self._picked[rows], ONE, self._best[rows])

    def lazy(self, budget: int) -> np.ndarray:
        """Picks the row of the largest gain, again and again, of equals the first; int64 [k], in the order of pick.

        Gains only fall, so a gain that tops all others, some of them out of date, is the largest (Minoux 1978). A
        gain is out of date where a pick came to represent one of the row's neighbours.
        """
        n = len(self._bonus)
        chunks = np.split(np.arange(n), range(CHUNK, n, CHUNK))
        heap = [(-gain, row) for rows in chunks if len(rows) for gain, row in self._valued(rows)]
        heapq.heapify(heap)
        stale = np.zeros(n, bool)
        picks: list[int] = []
        while len(picks) < min(budget, n):
            while stale[heap[0][1]]:
                rows = [heapq.heappop(heap)[1]]
                while heap and len(rows) < EVALUATED and stale[heap[0][1]]:
                    rows.append(heapq.heappop(heap)[1])
                stale[rows] = False
                for gain, row in self._valued(np.array(rows)):
                    heapq.heappush(heap, (-gain, row))
            picks.append(heapq.heappop(heap)[1])
            changed, _ = self._graph.edges(self.pick(picks[-1]))
            stale[self._graph.rows[changed]] = True
        return np.array(picks, np.int64)

    def _valued(self, rows: np.ndarray) -> list[tuple[int, int]]:
        return list(zip(self.gains(rows).tolist(), rows.tolist(), strict=True))

    def stochastic(self, budget: int, epsilon: float, rng: np.random.Generator) -> np.ndarray:
        """Picks each time the largest gain among (n / budget) ln(1 / epsilon) rows drawn from those that are left.

        Mirzasoleiman et al., "Lazier Than Lazy Greedy" (arXiv 1409.7938, Algorithm 1); int64 [k], in the order of pick.
        """
        n = len(self._bonus)
        budget = min(budget, n)
        size = int(np.ceil(n / max(budget, 1) * np.log(1 / epsilon)))
        left = np.arange(n)
        picks: list[int] = []
        for rest in range(n, n - budget, -1):  # the first `rest` of `left` are not yet picked
            drawn = rng.choice(rest, min(size, rest), replace=False, shuffle=False)
            gains = self.gains(left[drawn])
            top = drawn[gains == gains.max()]
            at = top[left[top].argmin()]
            picks.append(int(left[at]))
            self.pick(picks[-1])
            left[at] = left[rest - 1]
        return np.array(picks, np.int64)
