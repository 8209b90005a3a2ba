"""`score: semantic_duplicate`: whose meaning a row repeats, by the cosine of their embeddings."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from engine.operator import Context, Params, Reads, Rows, scorer
from engine.operators._neighbourhood import Neighbourhood
from engine.schema import EMBEDDING_TYPE, ERROR, ROW_ID

EXACT_ROWS = 20_000
"""Up to so many rows all are compared with all: it takes seconds."""


class SemanticDuplicateParams(Params):
    """Rows whose cosine is above 1 - `eps` repeat each other.

    `clusters`: 1 compares all rows with all; more compare only the rows of a cell of k-means. By default it is 1 up to
    20,000 rows, and beyond them the square root of their number.
    """

    eps: float = Field(0.05, gt=0, lt=1)
    clusters: int | None = Field(None, ge=1)


@scorer(
    params=SemanticDuplicateParams,
    reads={"embedding": Reads(EMBEDDING_TYPE)},
    writes={"semantic_duplicate_of": pa.string(), "semantic_similarity": pa.float64()},
    seeded=True,
)
def semantic_duplicate(rows: Rows, params: SemanticDuplicateParams, ctx: Context) -> pa.Table:
    """Names the row of lowest row_id that a row repeats, and writes the cosine to the row most similar to it.

    semantic_duplicate_of is null where a row repeats none that has a lower row_id, so `semantic_duplicate_of IS NULL`
    keeps the first row of each set of repeats. semantic_similarity is there for every row, also for one that repeats
    nobody, so that a limit can be chosen by looking at its distribution. `select: semdedup` finds the same pairs where
    it has the same clusters; but it keeps the row least similar to its centroid (or the best score), not the one of
    lowest row_id, and it names the first row that it resembles and looks no further. A row without an embedding, or
    alone in its cell, has no answer, with the reason in `error`.
    """
    cells = params.clusters or (1 if rows.num_rows <= EXACT_ROWS else None)
    around = Neighbourhood(rows, 2 * params.eps, cells, ctx)
    first = np.where(around.earlier, around.found.first, -1)
    return pa.table(
        {
            ROW_ID: around.ids,
            "semantic_duplicate_of": around.ids_at(first),
            "semantic_similarity": pa.array(1 - around.found.distance / 2, mask=around.alone),
            ERROR: around.missing,
        }
    )
