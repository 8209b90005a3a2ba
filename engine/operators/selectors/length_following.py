"""`select: length_following`: the rows whose responses have the length that was asked for.

The curation of long rows by Chen et al. (arXiv 2410.10210): of 6,000 rows 1,748 name one length, and 666 keep to it.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from engine.operator import Context, Params, Reads, selector
from engine.operators._length_score import length_score
from engine.operators.selectors._verdict import verdict
from engine.schema import NUMBER_TYPE, ROW_ID

NO_REQUEST, SEVERAL_REQUESTS = "no_request", "several_requests"
ZERO_LENGTH, DOES_NOT_FOLLOW = "zero_length", "does_not_follow"


class LengthFollowingParams(Params):
    """`threshold` is the least length score that is kept; 80 takes from 1/1.4 to 1.6 times of what is asked for."""

    threshold: float = Field(80.0, ge=0, le=100)


@selector(
    params=LengthFollowingParams,
    reads={
        "length_requests": Reads(NUMBER_TYPE),
        "required_length": Reads(NUMBER_TYPE),
        "response_length": Reads(NUMBER_TYPE),
    },
)
def length_following(batch: pa.Table, params: LengthFollowingParams, ctx: Context) -> pa.Table:  # noqa: ARG001
    """Keeps the rows that ask for one length and get it, by the columns of `score: length_following`.

    A dropped row names the first stage that it fails: `no_request`, `several_requests` (different lengths),
    `zero_length` (asked for, or written), `does_not_follow` (a length score below the threshold). The score is computed
    anew from the lengths, in float64: the column is rounded.
    """
    count, required, written = (
        pc.fill_null(batch[name], 0).cast(pa.float64()).to_numpy()
        for name in ("length_requests", "required_length", "response_length")
    )
    scores = length_score(required, written)
    stages = {
        NO_REQUEST: count == 0,
        SEVERAL_REQUESTS: count > 1,
        ZERO_LENGTH: (required <= 0) | (written == 0),
        DOES_NOT_FOLLOW: ~(scores >= params.threshold),
    }
    failed = np.select(list(stages.values()), range(len(stages)), -1)
    reasons = pa.array(list(stages)).take(pa.array(failed, mask=failed < 0))
    return verdict(batch[ROW_ID], np.flatnonzero(failed < 0), reasons)
