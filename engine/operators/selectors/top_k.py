"""`select: top_k`: the k best rows by a column or SQL expression."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from engine.operator import Context, Params, selector
from engine.operators.selectors._verdict import NO_SCORE, has_score, ranked, verdict
from engine.schema import ROW_ID

BELOW_CUT = "below_cut"


class TopKParams(Params):
    """`by` is a column or SQL expression; its order is descending unless `order: asc`."""

    k: int = Field(ge=1)
    by: str = Field(min_length=1)
    order: Literal["desc", "asc"] = "desc"


@selector(
    params=TopKParams,
    reads={},
    expressions=("by",),
    gives=lambda params, rows: (min(params.k, rows), min(params.k, rows)),
)
def top_k(batch: pa.Table, params: TopKParams, ctx: Context) -> pa.Table:  # noqa: ARG001  (the form of a selector)
    """Keeps the k rows with the highest (or lowest) value of an expression.

    Equal values go in the order of row_id. A row whose value is null or NaN is never kept (`no_score`), even when
    fewer than k rows have one.
    """
    picks = ranked(batch, "by", params.order)[: params.k]
    reasons = pa.array(np.where(has_score(batch["by"]), BELOW_CUT, NO_SCORE))
    return verdict(batch[ROW_ID], picks, reasons)
