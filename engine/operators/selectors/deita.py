"""`select: deita`: best score first, no near-duplicates of what is already kept, until the budget is full.

The Repr Filter of Liu et al., "What Makes Good Data for Alignment?" (arXiv 2312.15685, Algorithm 1), exact, by blocks.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from engine.operator import Context, Params, Reads, selector
from engine.operators.selectors._verdict import NO_SCORE, has_score, ranked, verdict
from engine.schema import EMBEDDING_TYPE, ROW_ID
from engine.vectors.pile import Pile
from engine.vectors.unit import CLOSE, UnitVectors, above, cosines, true_at

NO_EMBEDDING = "no_embedding"
NEAR_DUPLICATE = "near_duplicate"
BUDGET = "budget"
NOBODY = -1
BLOCK = 1024  # rows looked at in one go; no verdict depends on it
EVOL_SCORE = (
    "CASE WHEN len(complexity_scores) = len(quality_scores) "
    "THEN round(list_dot_product(complexity_scores::DOUBLE[], quality_scores::DOUBLE[]), 3) END"
)
"""Turn by turn complexity times quality, summed (section 3.3). Null where a score is, or where the two scorers saw
different turns. What is beyond three decimals is rounding of the model's arithmetic, and is not to rank rows.
"""


class DeitaParams(Params):
    """`max_similarity` is a cosine similarity: a row above it to a kept row is dropped.

    The paper calls the same number a distance although its code drops what is *more* similar; there is therefore no
    parameter `distance` here. `score` is by default the sum over the turns of complexity times quality.
    """

    budget: int = Field(ge=1)
    max_similarity: float = Field(0.9, gt=0, le=1)
    score: str = Field(EVOL_SCORE, min_length=1)


@selector(
    params=DeitaParams,
    reads={"embedding": Reads(EMBEDDING_TYPE)},
    expressions=("score",),
    gives=lambda params, rows: (0, min(params.budget, rows)),
)
def deita(batch: pa.Table, params: DeitaParams, ctx: Context) -> pa.Table:  # noqa: ARG001  (the form of a selector)
    """Walks the rows by falling score and keeps those that resemble no row kept before, up to the budget.

    Equal scores go in the order of row_id. A dropped row is a `near_duplicate` of the best kept row that it resembles
    (nn_id, with their cosine in nn_sim), was never looked at because the `budget` was full, or has `no_score` or
    `no_embedding`. A kept row names its nearest earlier pick. Fewer rows than the budget are kept where the table
    does not hold that many different ones.
    """
    vectors = UnitVectors(batch["embedding"])
    scored = has_score(batch["score"])
    order = ranked(batch, "score", "desc")
    walk = greedy(vectors, order[vectors.known[order]], params.budget, params.max_similarity)
    why = np.select([~scored, ~vectors.known, walk.decided], [0, 1, 2], 3)
    reasons = pa.array([NO_SCORE, NO_EMBEDDING, NEAR_DUPLICATE, BUDGET]).take(pa.array(why))
    return verdict(batch[ROW_ID], walk.picks, reasons, walk.nearest, walk.similarity)


def greedy(vectors: UnitVectors, order: np.ndarray, budget: int, limit: float) -> Walk:
    """Keeps, in the given order, each row whose cosine to every row kept before is at most `limit`.

    The result is that of looking at one row after the other, although a block is looked at in one go. The cost is
    that of one matrix product of the looked-at rows with the picks, less what rows save that fall early; the memory
    is that of the picks and of one block against one chunk of them.
    """
    walk = Walk(vectors, limit)
    for start in range(0, len(order), BLOCK):
        walk.examine(order[start : start + BLOCK], budget)
        if len(walk.picks) == budget:
            break
    return walk


class Walk:
    """What a walk has kept and decided so far.

    Attributes:
        picks: int [k], positions of the kept rows in the order of pick.
        decided: bool [n], the rows that were kept or found to be near-duplicates.
        nearest: int [n], for a near-duplicate the first pick above the limit, for a kept row the most similar
            earlier pick (the first of equals); `NOBODY` where there is none.
        similarity: float32 [n], the cosine to that pick.
    """

    def __init__(self, vectors: UnitVectors, limit: float) -> None:
        self.picks = np.zeros(0, np.int64)
        self.decided = np.zeros(len(vectors), bool)
        self.nearest = np.full(len(vectors), NOBODY)
        self.similarity = np.zeros(len(vectors), np.float32)
        self._vectors = vectors
        self._limit = limit
        self._pile = Pile(vectors.dim)

    def examine(self, rows: np.ndarray, budget: int) -> None:
        """Decides the next rows of the order, up to the one that fills the budget."""
        block = Block(self._vectors.rows(rows), self._limit)
        for first, chunk in self._pile:
            block.compare(first, chunk)
        block.settle(len(self._pile))
        room = budget - len(self.picks)
        end = np.flatnonzero(block.kept)[room - 1] + 1 if block.kept.sum() >= room else len(rows)
        self._record(rows[:end], block.unit[:end], block.kept[:end], block.nearest[:end])

    def _record(self, rows: np.ndarray, unit: np.ndarray, kept: np.ndarray, nearest: np.ndarray) -> None:
        self.picks = np.concatenate([self.picks, rows[kept]])
        self._pile.add(unit[kept])
        self.decided[rows] = True
        named = nearest != NOBODY
        others = self.picks[nearest[named]]
        self.nearest[rows[named]] = others
        self.similarity[rows[named]] = cosines(unit[named], self._vectors.rows(others))


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
