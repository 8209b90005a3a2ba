"""`select: min_neighbor_distance`: keeps the rows whose nearest other row is far enough (Magpie, arXiv 2406.08464)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from engine.operator import Context, Params, Reads, Rows, selector
from engine.operators._neighbourhood import Neighbourhood
from engine.operators.selectors._verdict import ranked, verdict
from engine.schema import EMBEDDING_TYPE

NO_EMBEDDING = "no_embedding"
TOO_NEAR = "too_near"


class MinNeighborDistanceParams(Params):
    """A row is kept if it is farther than `min_distance` from every other.

    Distances are squared L2 distances of unit vectors, 2 - 2 cos: 0.05 is a cosine of 0.975.

    `clusters`: 1 compares all rows with all; more compare only the rows of a cell of k-means, and so keep rows whose
    nearest other row stands in another cell.
    """

    min_distance: float = Field(ge=0, lt=4)
    clusters: int = Field(1, ge=1)


@selector(
    params=MinNeighborDistanceParams,
    reads={"embedding": Reads(EMBEDDING_TYPE)},
    seeded=True,
    gives=lambda _, rows: (0, rows),
)
def min_neighbor_distance(rows: Rows, params: MinNeighborDistanceParams, ctx: Context) -> pa.Table:
    """Keeps each row that is farther than a distance from every other row of the table.

    The rule knows no first and second: of rows that are near each other all are dropped, and so are all copies of a
    row, at distance 0. To keep one of them, use `semdedup` with one cell, or `deita`. A dropped row is `too_near` to
    its nearest other row (nn_id, with their cosine in nn_sim) or has `no_embedding`. Kept rows are ranked by falling
    distance, equals in the order of row_id; a row without any other is first.
    """
    around = Neighbourhood(rows, params.min_distance, params.clusters, ctx)
    found = around.found
    distance = np.where(around.alone, np.inf, found.distance)
    far = around.known & (distance > params.min_distance)
    order = ranked(pa.table({"row_id": around.ids, "distance": distance}), "distance", "desc")
    reasons = pa.array(np.where(around.known, TOO_NEAR, NO_EMBEDDING), pa.string())
    similarity = np.where(around.alone, 0, 1 - found.distance / 2).astype(np.float32)
    return verdict(around.ids, order[far[order]], reasons, found.nearest, similarity)
