"""`score: min_neighbor_distance`: how far the nearest other row is, and whom a row repeats.

The three columns of the Magpie sets (Xu et al., arXiv 2406.08464, section 3.1, and magpie-align/magpie).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from engine.operator import Context, Params, Reads, Rows, scorer
from engine.operators._neighbourhood import Neighbourhood
from engine.schema import EMBEDDING_TYPE, ERROR, ROW_ID


class MinNeighborDistanceParams(Params):
    """Distances are squared L2 distances of unit vectors, 2 - 2 cos: 0.05 is a cosine of 0.975.

    - `repeat_distance`: rows that are nearer repeat each other.
    - `clusters`: 1 compares all rows with all; more compare only the rows of a cell of k-means, which for n rows is
      that many times as fast, and finds no neighbour in another cell.
    """

    repeat_distance: float = Field(0.05, gt=0, le=4)
    clusters: int = Field(1, ge=1)


@scorer(
    params=MinNeighborDistanceParams,
    reads={"embedding": Reads(EMBEDDING_TYPE)},
    writes={
        "min_neighbor_distance": pa.float64(),
        "repeat_count": pa.int64(),
        "min_similar_conversation_id": pa.string(),
    },
    seeded=True,
)
def min_neighbor_distance(rows: Rows, params: MinNeighborDistanceParams, ctx: Context) -> pa.Table:
    """Writes the distance to the nearest other row, how many rows a row repeats, and the first of those.

    min_similar_conversation_id is the lowest row_id among the row and its repeats: the row's own where it is the first
    of them, null where it repeats nobody. So the filter of the Magpie sets is `min_similar_conversation_id IS NULL OR
    min_similar_conversation_id = row_id`. The published script takes the second hit of a search for the distance and
    counts at most 499 repeats, by position in the table; here a row is told from its equals by its id, all repeats
    count, and rows go by row_id. A row without an embedding has no answer, with the reason in `error`.
    """
    around = Neighbourhood(rows, params.repeat_distance, params.clusters, ctx)
    found, positions = around.found, np.arange(rows.num_rows)
    representative = np.where(around.earlier | (found.count == 0), found.first, positions)
    return pa.table(
        {
            ROW_ID: around.ids,
            "min_neighbor_distance": pa.array(found.distance, mask=around.alone),
            "repeat_count": pa.array(found.count, mask=around.alone),
            "min_similar_conversation_id": around.ids_at(representative),
            ERROR: around.missing,
        }
    )
