"""What all selectors share: a total order over scores, and the verdict table from picks and reasons."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import SetwrightError
from engine.schema import ROW_ID, VERDICT, is_number

NO_SCORE = "no_score"
DROPPED = -1


def has_score(scores: pa.ChunkedArray) -> np.ndarray:
    """Which scores are neither null nor NaN, bool [n]."""
    known = scores.is_valid()
    if pa.types.is_floating(scores.type):
        known = pc.and_(known, pc.invert(pc.fill_null(pc.is_nan(scores), True)))
    mask: np.ndarray = known.to_numpy()
    return mask


def ranked(batch: pa.Table, column: str, order: Literal["desc", "asc"]) -> np.ndarray:
    """Positions of the rows that have a score, best first; equal scores in the order of row_id, so the order is total.

    Raises:
        SetwrightError: the scores are of a type whose order is not the one a user means (text, lists).
    """
    scores = batch[column]
    if not (is_number(scores.type) or pa.types.is_boolean(scores.type) or pa.types.is_temporal(scores.type)):
        raise SetwrightError(
            f"{column} is of type {scores.type}, which can't rank rows",
            cure=f"make it a number in the expression: {column}: CAST(... AS DOUBLE)",
        )
    keys = pa.table({"score": scores, "row_id": batch[ROW_ID]})
    direction = "descending" if order == "desc" else "ascending"
    order_of_rows = pc.sort_indices(keys, sort_keys=[("score", direction), ("row_id", "ascending")])
    positions: np.ndarray = order_of_rows.to_numpy().astype(np.int64)
    ranks: np.ndarray = positions[has_score(scores)[positions]]
    return ranks


def verdict(
    row_ids: pa.ChunkedArray,
    picks: np.ndarray,
    reasons: pa.Array | pa.ChunkedArray,
    neighbours: np.ndarray | None = None,
    similarities: np.ndarray | None = None,
) -> pa.Table:
    """The `VERDICT` table, one row a row in the given order.

    Args:
        row_ids: [n] the ids of all rows.
        picks: int [k], positions of the kept rows in the order of pick.
        reasons: string [n], why a row is dropped; what stands at a kept row is not read.
        neighbours: int [n], the position of the row that displaced or comes nearest to a row; -1 for none.
        similarities: float32 [n], the similarity to that neighbour; not read where there is none.
    """
    n = len(row_ids)
    rank = np.full(n, DROPPED, np.int32)
    rank[picks] = np.arange(len(picks), dtype=np.int32)
    dropped = rank == DROPPED
    nearest = np.full(n, -1) if neighbours is None else neighbours
    similarity = np.zeros(n, np.float32) if similarities is None else similarities
    columns = [
        row_ids,
        pa.array(~dropped),
        pa.array(rank, mask=dropped),
        pc.if_else(pa.array(dropped), reasons, pa.scalar(None, pa.string())),
        row_ids.take(pa.array(nearest, mask=nearest < 0)),
        pa.array(similarity, pa.float32(), mask=nearest < 0),
    ]
    return pa.table([column.cast(field.type) for column, field in zip(columns, VERDICT, strict=True)], schema=VERDICT)
