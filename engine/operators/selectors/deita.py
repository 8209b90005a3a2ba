"""`select: deita`: best score first, no near-duplicates of what is already kept, until the budget is full.

The Repr Filter of Liu et al., "What Makes Good Data for Alignment?" (arXiv 2312.15685, Algorithm 1), exact, by blocks.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from engine.operator import Context, Params, Reads, Rows, selector
from engine.operators._cells import arranged
from engine.operators.selectors._verdict import NO_SCORE, has_score, ranked, verdict
from engine.schema import EMBEDDING_TYPE, ROW_ID
from engine.vectors.apart import NOBODY, greedy

NO_EMBEDDING = "no_embedding"
NEAR_DUPLICATE = "near_duplicate"
BUDGET = "budget"
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
def deita(rows: Rows, params: DeitaParams, ctx: Context) -> pa.Table:
    """Walks the rows by falling score and keeps those that resemble no row kept before, up to the budget.

    Equal scores go in the order of row_id. A dropped row is a `near_duplicate` of the best kept row that it resembles
    (nn_id, with their cosine in nn_sim), was never looked at because the `budget` was full, or has `no_score` or
    `no_embedding`. A kept row names its nearest earlier pick. Fewer rows than the budget are kept where the table
    does not hold that many different ones. Where the embeddings do not fit in memory, only the picks have to.
    """
    scores = rows.whole("score")
    order = ranked(scores, "score", "desc")
    tape = arranged(rows, order, ctx.scratch)
    walk = greedy(tape, params.budget, params.max_similarity)
    why = np.where(has_score(scores["score"]), BUDGET, NO_SCORE).astype(object)
    why[order[walk.decided]] = NEAR_DUPLICATE
    why[order[~tape.known]] = NO_EMBEDDING
    nearest, similarity = np.full(len(scores), NOBODY), np.zeros(len(scores), np.float32)
    named = walk.nearest != NOBODY
    nearest[order[named]], similarity[order[named]] = order[walk.nearest[named]], walk.similarity[named]
    return verdict(scores[ROW_ID], order[walk.picks], pa.array(why, pa.string()), nearest, similarity)
