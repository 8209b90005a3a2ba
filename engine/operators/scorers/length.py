"""`score: length`: how long a text is, in characters and words."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from engine.operator import Context, Params, Reads, scorer
from engine.schema import TEXT_TYPE


@scorer(
    params=Params,
    reads={"text": Reads(TEXT_TYPE, default=("response", "text"))},
    writes={"n_chars": pa.int64(), "n_words": pa.int64()},
)
def length(batch: pa.Table, params: Params, ctx: Context) -> pa.Table:  # noqa: ARG001  (the form of a scorer)
    """Counts the characters (Unicode code points) and the words (runs without white space) of a text.

    White space is Unicode's White_Space property. A null text has null counts.
    """
    text = pl.col("text").str
    counts = pl.DataFrame(batch.select(["text"])).select(
        n_chars=text.len_chars().cast(pl.Int64), n_words=text.count_matches(r"\S+").cast(pl.Int64)
    )
    return counts.to_arrow()
