"""`select: cluster_balanced`: a budget divided among clusters, and the best, most central or random rows of each.

Clusters are those of spherical k-means, or given. Their quotas are tempered as the shares of languages are in
multilingual training (Lample & Conneau, arXiv 1901.07291, section 3.1): size^alpha.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from engine.operator import Context, Reads, Rows, selector
from engine.operators._cells import cells_of, embeddings, known_rows, learned_cells, unit_vectors
from engine.operators.selectors._budget import BudgetParams, gives
from engine.operators.selectors._groups import NOBODY, best_first, fill, groups_of
from engine.operators.selectors._verdict import NO_SCORE, has_score, verdict
from engine.schema import EMBEDDING_TYPE, ROW_ID
from engine.statistics.quotas import quotas, tempered
from engine.vectors.cells import cosines_to

NO_EMBEDDING, NO_CLUSTER, CLUSTER_QUOTA = "no_embedding", "no_cluster", "cluster_quota"
UNIT = 2.0**40
"""Coordinates are summed in whole numbers of 1 / UNIT, so that the sum is the same in any order of the rows."""


class ClusterBalancedParams(BudgetParams):
    """Either `clusters`, how many k-means is to find, or `by`, a SQL expression whose values are the clusters.

    - `alpha`: a cluster of n rows weighs n^alpha: 0 gives all clusters the same, 1 is proportional.
    - `min_rows`, `max_rows`: of each cluster, as far as it has them.
    - `order`: which rows of a cluster come first: the highest `score` (a column or SQL expression), those `nearest` to
      the cluster's centroid, or as they are drawn at `random`.
    """

    clusters: int | None = Field(None, ge=1)
    by: str | None = Field(None, min_length=1)
    alpha: float = Field(0.0, ge=0, le=1)
    min_rows: int = Field(0, ge=0)
    max_rows: int | None = Field(None, ge=1)
    order: Literal["score", "nearest", "random"] = "score"
    score: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> ClusterBalancedParams:
        if (self.clusters is None) == (self.by is None):
            raise ValueError("give either clusters (how many) or by (an expression that names them), not both")
        if (self.order == "score") != (self.score is not None):
            raise ValueError("order: score and the parameter score go together; without a score say nearest or random")
        if self.max_rows is not None and self.max_rows < self.min_rows:
            raise ValueError(f"max_rows ({self.max_rows}) is less than min_rows ({self.min_rows})")
        return self


def _reads(params: ClusterBalancedParams) -> Mapping[str, Reads]:
    return {"embedding": Reads(EMBEDDING_TYPE)} if params.by is None or params.order == "nearest" else {}


@selector(params=ClusterBalancedParams, reads=_reads, expressions=("by", "score"), seeded=True, gives=gives)
def cluster_balanced(rows: Rows, params: ClusterBalancedParams, ctx: Context) -> pa.Table:
    """Divides the budget among clusters, and keeps the first rows of each in the chosen order.

    Quotas are rounded by largest remainders, and what a cluster has too few rows for goes to the others, so that the
    budget is met exactly wherever the table has the rows. Equals within a cluster go in the order of row_id; ranks go
    through the clusters in step with their quotas. A dropped row has no place in its cluster's quota (`cluster_quota`),
    or can't be placed, and then counts in no size: `no_embedding` (null, zero or not finite, where embeddings are
    read), `no_cluster` (`by` is null), `no_score` (null or NaN).

    Raises:
        SetwrightError: `by` can't group rows, or the minima are more than the budget.
    """
    table = rows.whole(*(name for name in ("by", "score") if name in rows.columns))
    known = known_rows(rows) if "embedding" in rows.columns else np.ones(len(table), bool)
    cluster, cosine = _clusters(rows, table, known, params, ctx.seed)
    if params.order == "nearest":
        table = table.append_column("score", pa.array(cosine))
    order = best_first(table, ctx.seed)
    order = order[cluster[order] != NOBODY]
    sizes = np.bincount(cluster[order])
    room = np.minimum(sizes, params.max_rows or len(table))
    quota = quotas(params.count(len(table)), tempered(sizes, params.alpha), room, params.min_rows)
    scored = has_score(table["score"]) if params.order == "score" else np.ones(len(table), bool)
    why = np.select([~scored, ~known, cluster == NOBODY], [0, 1, 2], 3)
    reasons = pa.array([NO_SCORE, NO_EMBEDDING, NO_CLUSTER, CLUSTER_QUOTA]).take(pa.array(why))
    return verdict(table[ROW_ID], fill(order, cluster, quota), reasons)


def _clusters(
    rows: Rows, table: pa.Table, known: np.ndarray, params: ClusterBalancedParams, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The cluster of each row, int64 [n], `NOBODY` for none; and its cosine to the centroid where that counts."""
    if params.by is None:
        cells, cosine = cells_of(rows, known, learned_cells(rows, known, params.clusters, seed))
        return cells.max(axis=1, initial=NOBODY).astype(np.int64), cosine
    groups = groups_of(table["by"], "by")
    cluster = np.where(known & table["by"].is_valid().to_numpy(), groups.of, NOBODY)
    wanted = params.order == "nearest" and cluster.max(initial=NOBODY) != NOBODY
    return cluster, _cosines(rows, cluster) if wanted else np.zeros(len(table), np.float32)


def _cosines(rows: Rows, cluster: np.ndarray) -> np.ndarray:
    """The cosine of each row to the mean direction of its cluster, float32 [n]; 0 for a row in no cluster.

    Rows that cancel each other out have no mean direction, and a cosine of 0 to it.
    """
    placed = np.flatnonzero(cluster != NOBODY)
    sums = np.zeros((cluster.max() + 1, next(embeddings(rows)).type.list_size), np.int64)
    for positions, unit in unit_vectors(rows, placed):
        order = np.argsort(cluster[positions], kind="stable")
        of = cluster[positions][order]
        firsts = np.flatnonzero(np.diff(of, prepend=NOBODY))
        sums[of[firsts]] += np.add.reduceat(np.rint(unit[order] * UNIT).astype(np.int64), firsts)
    lengths = np.linalg.norm(sums.astype(np.float64), axis=1, keepdims=True)
    centroids = (sums / np.maximum(lengths, 1)).astype(np.float32)
    cosine = np.zeros(len(cluster), np.float32)
    for positions, unit in unit_vectors(rows, placed):
        cosine[positions] = cosines_to(unit, centroids, cluster[positions])
    return cosine
