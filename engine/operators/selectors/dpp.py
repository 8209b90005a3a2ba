"""`select: dpp`: rows that are unlike each other, and good, by a determinantal point process.

The greedy MAP inference of Chen et al. (arXiv 1709.05135, Algorithm 1), with their trade-off of score and diversity.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from engine.operator import Context, Reads, selector
from engine.operators.selectors._budget import BudgetParams, gives
from engine.operators.selectors._candidates import BUDGET, candidates
from engine.schema import EMBEDDING_TYPE
from engine.vectors.farthest import covered
from engine.vectors.volume import most_volume

NO_VOLUME = "no_volume"


class DppParams(BudgetParams):
    """`score`, a column or SQL expression, makes a row's quality, and `theta` tells how much it counts.

    The quality of a row is q = exp(a (score - best score)) with a = theta / (2 (1 - theta)): the picks maximise
    theta * (sum of the scores) + (1 - theta) * log det of their cosines. So 0 looks at the vectors alone; the nearer
    to 1, the more a difference of scores counts, in the units of the score.
    """

    score: str | None = Field(None, min_length=1)
    theta: float | None = Field(None, ge=0, lt=1)

    @model_validator(mode="after")
    def _both_or_none(self) -> DppParams:
        if (self.score is None) != (self.theta is None):
            raise ValueError("give both score and theta (how much the score counts, from 0 to below 1), or neither")
        return self


@selector(params=DppParams, reads={"embedding": Reads(EMBEDDING_TYPE)}, expressions=("score",), gives=gives)
def dpp(batch: pa.Table, params: DppParams, ctx: Context) -> pa.Table:  # noqa: ARG001  (the form of a selector)
    """Picks one row after another, each the one that most increases the determinant of L_ij = q_i q_j cos_ij.

    A row that would increase it by a factor of less than 1e-10 is never picked: so no row that is a combination of
    picks, no more rows than a vector has numbers, and none whose squared quality is below that. What is left then is
    dropped as `no_volume`, else what is not picked has the `budget` as its reason, or `no_embedding` or `no_score`.
    Every row names the pick that is nearest to it, a pick the nearest of those before it. Equals go by falling score,
    then by row_id.
    """
    found = candidates(batch)
    budget = min(params.count(batch.num_rows), len(found.vectors))
    picks = most_volume(found.vectors, _quality(found.scores, params.theta, len(found.vectors)), budget)
    if not len(picks):
        return found.nothing(batch)
    if len(picks) < budget:
        found.reasons[found.reasons == BUDGET] = NO_VOLUME
    cover = covered(found.vectors, picks)
    return found.verdict(batch, picks, cover.nearest, cover.similarity)


def _quality(scores: np.ndarray | None, theta: float | None, n: int) -> np.ndarray:
    """The quality of each row, float64 [n], 1 for the best."""
    if scores is None or theta is None:
        return np.ones(n)
    quality: np.ndarray = np.exp(theta / (2 * (1 - theta)) * (scores - scores.max(initial=-np.inf)))
    return quality
