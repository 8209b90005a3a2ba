"""`select: semdedup`: drops rows whose meaning stands in an earlier row of the same cell of k-means already.

SemDeDup of Abbas et al. (arXiv 2303.09540, Algorithm 1), exact inside a cell, for more rows than memory holds.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from engine.operator import Context, Params, Reads, Rows, selector
from engine.operators._cells import arranged, by_cell, cells_of, known_rows, learned_cells
from engine.operators.selectors._verdict import NO_SCORE, has_score, ranked, verdict
from engine.schema import EMBEDDING_TYPE, ROW_ID
from engine.vectors.repeats import NOBODY, Repeats, first_repeats

NO_EMBEDDING = "no_embedding"
SEMANTIC_DUPLICATE = "semantic_duplicate"


class SemdedupParams(Params):
    """A row is dropped if its cosine to an earlier row of its cell is above 1 - `eps`.

    - `eps`: 0.05 to 0.1 is usual; larger drops more.
    - `clusters`: cells of k-means; by default the square root of the number of rows. 1 compares all rows with all.
    - `nearest_clusters`: 2 looks for repeats in a row's second nearest cell, too, so that fewer are missed at borders.
    - `keep`: which of similar rows comes first and so stays: `hard`, the one least similar to its centroid (as in the
      paper's experiments), `easy`, the most similar one, or `score`, the one with the highest `score`, a column or
      SQL expression.
    """

    eps: float = Field(0.05, gt=0, lt=1)
    clusters: int | None = Field(None, ge=1)
    nearest_clusters: Literal[1, 2] = 1
    keep: Literal["hard", "easy", "score"] = "hard"
    score: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _score_where_it_decides(self) -> SemdedupParams:
        if (self.keep == "score") != (self.score is not None):
            raise ValueError("keep: score and the parameter score go together: give both or neither")
        return self


@selector(
    params=SemdedupParams,
    reads={"embedding": Reads(EMBEDDING_TYPE)},
    expressions=("score",),
    seeded=True,
    gives=lambda _, rows: (0, rows),
)
def semdedup(rows: Rows, params: SemdedupParams, ctx: Context) -> pa.Table:
    """Cuts the embeddings into cells and drops, inside a cell, each row that resembles an earlier one.

    What is earlier follows from `keep`, equals in the order of row_id, and this is the order of rank, too. A dropped
    row is a `semantic_duplicate` of the first row that it resembles (nn_id, with their cosine in nn_sim), or has
    `no_score` or `no_embedding`. The rule looks at all earlier rows, as in the paper, and not only at those kept: of a
    chain A, B, C of similar neighbours A alone stays, even where C is not similar to A. Repeats in different cells
    are not found.
    """
    known = known_rows(rows)
    centroids = learned_cells(rows, known, params.clusters, ctx.seed)
    cells, cosine = cells_of(rows, known, centroids, params.nearest_clusters)
    order, scored = _order(rows, params, known, cosine)
    on_tape, bounds = by_cell(order, cells)
    repeats = first_repeats(arranged(rows, on_tape, ctx.scratch), bounds, 1 - params.eps)
    nearest, similarity = _earliest(repeats, on_tape, order, rows.num_rows)
    why = np.select([~scored, ~known], [0, 1], 2)
    reasons = pa.array([NO_SCORE, NO_EMBEDDING, SEMANTIC_DUPLICATE]).take(pa.array(why))
    return verdict(rows.whole()[ROW_ID], order[nearest[order] == NOBODY], reasons, nearest, similarity)


def _order(rows: Rows, params: SemdedupParams, known: np.ndarray, cosine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows that can be judged, the first come first, and which rows have a score."""
    if params.keep == "score":
        scores = rows.whole("score")
        order = ranked(scores, "score", "desc")
        return order[known[order]], has_score(scores["score"])
    distances = rows.whole().append_column("cosine", pa.array(cosine, mask=~known))
    return ranked(distances, "cosine", "asc" if params.keep == "hard" else "desc"), np.ones(rows.num_rows, bool)


def _earliest(repeats: Repeats, on_tape: np.ndarray, order: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The row that each row repeats, int64 [n], and their cosine, float32 [n]: over its cells that of lowest rank."""
    place = np.empty(n, np.int64)
    place[order] = np.arange(len(order))
    hits = np.flatnonzero(repeats.first != NOBODY)
    others = on_tape[repeats.first[hits]]
    last_wins = np.argsort(-place[others], kind="stable")
    nearest, similarity = np.full(n, NOBODY), np.zeros(n, np.float32)
    nearest[on_tape[hits[last_wins]]] = others[last_wins]
    similarity[on_tape[hits[last_wins]]] = repeats.cosine[hits[last_wins]]
    return nearest, similarity
