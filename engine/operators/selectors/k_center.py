"""`select: k_center`: rows spread over all that there is, each pick the row farthest from the picks before it.

The greedy algorithm of Sener & Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach"
(arXiv 1708.00489, Algorithm 1), exact.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from engine.operator import Context, Reads, selector
from engine.operators.selectors._budget import BudgetParams, gives
from engine.operators.selectors._candidates import candidates
from engine.schema import EMBEDDING_TYPE, ROW_ID
from engine.vectors.farthest import farthest_first, nearest_to_mean
from engine.vectors.ordered import Ordered


class KCenterParams(BudgetParams):
    """`start` is the first pick: the row nearest to the mean direction, that of the lowest row_id, or the best score.

    Outliers are what is farthest. Two bounds hold them back: rows whose `score` is below `min_score` are dropped, and
    all rows beyond `cap`, a squared L2 distance of vectors of length 1 (2 - 2 cos, at most 4), count as equally far.
    `score` is a column or SQL expression; equally far rows go by falling score, then by row_id.
    """

    start: Literal["mean", "row_id", "score"] = "mean"
    score: str | None = Field(None, min_length=1)
    min_score: float | None = None
    cap: float | None = Field(None, gt=0, le=4)

    @model_validator(mode="after")
    def _score_where_needed(self) -> KCenterParams:
        for name, needed in {"start: score": self.start == "score", "min_score": self.min_score is not None}.items():
            if needed and self.score is None:
                raise ValueError(f"{name} needs `score`, a column or SQL expression")
        return self


@selector(params=KCenterParams, reads={"embedding": Reads(EMBEDDING_TYPE)}, expressions=("score",), gives=gives)
def k_center(batch: pa.Table, params: KCenterParams, ctx: Context) -> pa.Table:  # noqa: ARG001  (the form of a selector)
    """Begins with one row and goes on with the row that is least similar to all picks, up to the budget.

    Every row names the pick that is nearest to it (nn_id, with their cosine in nn_sim), a pick the nearest of those
    before it. The largest distance of a row to its pick is at most twice what any choice of so many rows could reach
    (without `cap`). A row that can't be picked has `no_embedding`, `no_score` or too low a score as its reason, all
    others the `budget`.
    """
    found = candidates(batch, params.min_score)
    budget = min(params.count(batch.num_rows), len(found.vectors))
    if not budget:
        return found.nothing(batch)
    first = _start(found.vectors, batch[ROW_ID], params.start)
    picks, cover = farthest_first(found.vectors, first, budget, params.cap)
    return found.verdict(batch, picks, cover.nearest, cover.similarity)


def _start(vectors: Ordered, row_ids: pa.ChunkedArray, start: str) -> int:
    """The number of the first pick."""
    if start == "mean":
        return nearest_to_mean(vectors)
    if start == "score":
        return 0
    return int(pc.sort_indices(row_ids.take(pa.array(vectors.order)))[0].as_py())
