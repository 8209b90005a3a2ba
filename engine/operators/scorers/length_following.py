"""`score: length_following`: how well a response keeps to the length that its request names.

S_l of LongBench-Write (Bai et al., arXiv 2408.07055); for the curation of long rows Chen et al., arXiv 2410.10210.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from engine.operator import Context, Params, Reads, scorer
from engine.operators._length_score import length_score
from engine.operators.scorers._length_requests import requests, word_count
from engine.schema import ERROR, NUMBER_TYPE, ROW_ID, TEXT_TYPE

if TYPE_CHECKING:
    import polars as pl


class LengthFollowingParams(Params):
    """With `compat` lengths are read and counted as by the scripts behind the published numbers, oddities included.

    Those read "1,000 words" as 0 and "1000-word" not at all, and count no word that touches a digit or an ideograph.
    """

    compat: bool = False


@scorer(
    params=LengthFollowingParams,
    reads={
        "instruction": Reads(TEXT_TYPE, default=("instruction", "prompt")),
        "response": Reads(TEXT_TYPE),
        "required": Reads(NUMBER_TYPE, default=("required_words",), optional=True),  # where the table knows the length
    },
    writes={
        "required_length": pa.int64(),
        "length_requests": pa.int32(),  # different lengths that the request names
        "response_length": pa.int64(),
        "score_length": pa.float32(),
    },
)
def length_following(batch: pa.Table, params: LengthFollowingParams, ctx: Context) -> pa.Table:  # noqa: ARG001
    """Compares the length of a response, in words and CJK ideographs, with the one that its instruction asks for.

    score_length is 100 where both are equal, and falls to 0 at a third and at four times of what is asked for; an empty
    response scores 0. A row whose instruction names no length, or several different ones, has no score, with the
    reason in `error`. A table with a column `required_words` says itself what is asked for, and no instruction is read.
    """
    import polars as pl  # half a second, which a plan shouldn't pay

    rows = pl.DataFrame(batch.drop_columns([ROW_ID]))
    written = word_count(pl.col("response"), published=params.compat)
    found = rows.select(*_required(rows, params), response_length=written)
    count = pl.col("length_requests")
    why = (
        pl.when(count.is_null()).then(pl.lit("the instruction is null"))
        .when(count == 0).then(pl.lit("no length is asked for"))
        .when(count > 1).then(pl.format("{} different lengths are asked for", count))
        .when(pl.col("required_length") <= 0).then(pl.lit("the length that is asked for is not above 0"))
        .when(pl.col("response_length").is_null()).then(pl.lit("the response is null"))
    )  # fmt: skip
    reasons = found.select(why.alias(ERROR))
    lengths = (found[name].cast(pl.Float64).to_numpy() for name in ("required_length", "response_length"))
    scores = pl.Series("score_length", length_score(*lengths), nan_to_null=True).cast(pl.Float32)
    return found.with_columns(scores).hstack(reasons).to_arrow().add_column(0, ROW_ID, batch[ROW_ID])


def _required(rows: pl.DataFrame, params: LengthFollowingParams) -> list[pl.Expr]:
    """The length that is asked for, null unless it is one, and how many are."""
    import polars as pl

    if "required" in rows.columns:
        given = pl.col("required").cast(pl.Int64, strict=False)
        count = given.is_not_null().cast(pl.Int32)
    else:
        given, count = requests(pl.col("instruction"), published=params.compat)
    return [pl.when(count == 1).then(given).alias("required_length"), count.alias("length_requests")]
