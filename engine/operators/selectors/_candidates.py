"""What the greedy selectors over vectors share: the rows that may be picked, in an order that decides ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import SetwrightError
from engine.operators.selectors._verdict import NO_SCORE, has_score, ranked, verdict
from engine.schema import ROW_ID, is_number
from engine.vectors.ordered import Ordered
from engine.vectors.unit import UnitVectors

NO_EMBEDDING = "no_embedding"
BUDGET = "budget"
NOBODY = -1


@dataclass(frozen=True)
class Candidates:
    """The rows of a table that may be picked.

    Attributes:
        vectors: their vectors, numbered best score first, equal scores by row_id; by row_id where there is no score.
        scores: float64 [m], their scores, or None.
        reasons: string [n], why each row of the table is dropped if nothing picks it.
    """

    vectors: Ordered
    scores: np.ndarray | None
    reasons: np.ndarray

    def verdict(self, batch: pa.Table, picks: np.ndarray, nearest: np.ndarray, similarity: np.ndarray) -> pa.Table:
        """The verdict on the table; all rows are meant by their numbers.

        Args:
            batch: the table.
            picks: int [k], in the order of pick.
            nearest: int [m], the pick that stands for each row, or that stood for a pick before it; `NOBODY` for none.
            similarity: float [m], to that pick.
        """
        order, named = self.vectors.order, nearest != NOBODY
        neighbours, near = np.full(len(batch), NOBODY), np.zeros(len(batch), np.float32)
        neighbours[order[named]] = order[nearest[named]]
        near[order[named]] = similarity[named]
        return verdict(batch[ROW_ID], order[picks], pa.array(self.reasons), neighbours, near)

    def nothing(self, batch: pa.Table) -> pa.Table:
        """The verdict that keeps no row."""
        none = np.zeros(0, np.int64)
        return self.verdict(batch, none, np.full(len(self.vectors), NOBODY), np.zeros(len(self.vectors)))


def candidates(batch: pa.Table, min_score: float | None = None) -> Candidates:
    """The rows with a vector and, where the table has a `score`, with a finite one that is not below `min_score`.

    Raises:
        SetwrightError: the scores are no numbers.
    """
    vectors = UnitVectors(batch["embedding"])
    reasons = np.where(vectors.known, BUDGET, NO_EMBEDDING).astype(object)
    if "score" not in batch.column_names:
        order = pc.sort_indices(batch[ROW_ID]).to_numpy().astype(np.int64)
        return Candidates(Ordered(vectors, order[vectors.known[order]]), None, reasons)
    scores = _numbers(batch["score"])
    if min_score is not None:
        reasons[scores < min_score] = f"score is below {min_score:g}"
    reasons[~np.isfinite(scores)] = NO_SCORE
    order = ranked(batch, "score", "desc")
    order = order[reasons[order] == BUDGET]
    return Candidates(Ordered(vectors, order), scores[order], reasons)


def _numbers(scores: pa.ChunkedArray) -> np.ndarray:
    """The scores as float64 [n], NaN where there is none."""
    if not (is_number(scores.type) or pa.types.is_boolean(scores.type)):
        raise SetwrightError(
            f"score is of type {scores.type}, which is no number", cure="make it one: score: CAST(... AS DOUBLE)"
        )
    values = pc.cast(scores, pa.float64(), safe=False).to_numpy()
    return np.where(has_score(scores), values, np.nan)
