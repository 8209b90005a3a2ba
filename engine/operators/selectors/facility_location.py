"""`select: facility_location`: rows that stand for all others, every row being represented by the pick nearest to it.

The objective is sum_i max_j s_ij over the picks j, plus a weighted score of each pick. It is maximised greedily
(Nemhauser et al. 1978), with lazy evaluation (Minoux 1978) or by samples (Mirzasoleiman et al., arXiv 1409.7938).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from engine.errors import SetwrightError
from engine.operator import Context, Reads, selector
from engine.operators.selectors._budget import BudgetParams, gives
from engine.operators.selectors._candidates import candidates
from engine.schema import EMBEDDING_TYPE
from engine.vectors.facility import ONE, Facility, Graph, graph_of
from engine.vectors.nearest import nearest_k
from engine.vectors.nearly import nearly_nearest_k
from engine.vectors.ordered import Ordered

Scale = Literal["none", "range", "rank"]
HIGHEST = 2.0**31
"""A weighted score must stay below this, so that sums of gains fit into 64 bits."""


class FacilityLocationParams(BudgetParams):
    """`k`: a row can stand for those whose k nearest rows it is among, and for its own k nearest.

    `search`: `exact` compares all rows with all, which takes hours beyond some 200,000; `approximate` looks for a row's
    neighbours only in the `probes` nearest of sqrt(n) cells, and misses some.
    `method`: `lazy` makes the picks of the plain greedy algorithm, whose value is at least 1 - 1/e of the best.
    `stochastic` chooses each pick among so many rows, drawn at random, that it is 1 - 1/e - `epsilon` on average.
    With `score`, a column or SQL expression, each pick adds `weight` times its scaled score to the value, to which a
    row that is represented perfectly adds 1. `scale`: the score as it is (`none`), from 0 for the lowest to 1 for the
    highest (`range`), or likewise by its rank among the different scores.
    """

    k: int = Field(64, ge=1)
    search: Literal["exact", "approximate"] = "exact"
    probes: int = Field(32, ge=1)
    method: Literal["lazy", "stochastic"] = "lazy"
    epsilon: float = Field(0.01, gt=0, lt=1)
    score: str | None = Field(None, min_length=1)
    weight: float | None = Field(None, gt=0)
    scale: Scale | None = None

    @model_validator(mode="after")
    def _all_or_none(self) -> FacilityLocationParams:
        if len({self.score is None, self.weight is None, self.scale is None}) == 2:
            raise ValueError("give score, weight and scale (none, range or rank) together, or none of them")
        return self


@selector(
    params=FacilityLocationParams,
    reads={"embedding": Reads(EMBEDDING_TYPE)},
    expressions=("score",),
    seeded=True,
    gives=gives,
)
def facility_location(batch: pa.Table, params: FacilityLocationParams, ctx: Context) -> pa.Table:
    """Picks one row after another, each the one that adds most to how well all rows are represented.

    Only the similarities of near neighbours count, negative ones as 0. Every row names the pick that represents it
    (nn_id, with their cosine in nn_sim), a pick the one that did before it; a row that no pick is near to names none.
    Equal gains go by falling score, then by row_id. What is not picked has the `budget` as its reason, or
    `no_embedding` or `no_score`.
    """
    found = candidates(batch)
    budget = min(params.count(batch.num_rows), len(found.vectors))
    if not budget:
        return found.nothing(batch)
    facility = Facility(_graph(found.vectors, params, ctx.seed), _bonus(found.scores, params, len(found.vectors)))
    if params.method == "lazy":
        picks = facility.lazy(budget)
    else:
        picks = facility.stochastic(budget, params.epsilon, ctx.rng("facility_location"))
    return found.verdict(batch, picks, facility.nearest, facility.similarity)


def _graph(vectors: Ordered, params: FacilityLocationParams, seed: int) -> Graph:
    if params.search == "exact":
        return graph_of(nearest_k(vectors, params.k))
    return graph_of(nearly_nearest_k(vectors, params.k, params.probes, seed))


def _bonus(scores: np.ndarray | None, params: FacilityLocationParams, n: int) -> np.ndarray:
    """What a pick is worth by itself, int64 [n], in whole numbers of 1 / ONE."""
    if scores is None or params.weight is None:
        return np.zeros(n, np.int64)
    weighted = params.weight * _scaled(scores, params.scale)
    if np.abs(weighted).max() >= HIGHEST:
        raise SetwrightError(
            f"score times weight reaches {np.abs(weighted).max():.3g}, beside similarities of at most 1",
            cure="scale the score (scale: range) or lower the weight",
        )
    return np.rint(weighted * ONE).astype(np.int64)


def _scaled(scores: np.ndarray, scale: Scale | None) -> np.ndarray:
    """The scores from 0 to 1, equal ones alike and all 0 where they are all equal; or as they are."""
    if scale == "none":
        return scores
    if scale == "rank":
        scores = np.unique(scores, return_inverse=True)[1].astype(np.float64)
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.zeros(len(scores))
