"""`score: length`: how long a text is, in characters and words."""

from __future__ import annotations

import pyarrow as pa

from engine.operator import Context, Params, Reads, scorer
from engine.schema import ERROR, ROW_ID, TEXT_TYPE


@scorer(
    params=Params,
    reads={"text": Reads(TEXT_TYPE, default=("response", "text"))},
    writes={"n_chars": pa.int64(), "n_words": pa.int64()},
)
def length(batch: pa.Table, params: Params, ctx: Context) -> pa.Table:  # noqa: ARG001  (the form of a scorer)
    """Counts the characters (Unicode code points) and the words (runs without white space) of a text.

    White space is Unicode's White_Space property. A null text has null counts and the reason in `error`.
    """
    import polars as pl  # half a second, which a plan shouldn't pay

    text = pl.col("text")
    counts = pl.DataFrame(batch.select(["text"])).select(
        text.str.len_chars().cast(pl.Int64).alias("n_chars"),
        text.str.count_matches(r"\S+").cast(pl.Int64).alias("n_words"),
        pl.when(text.is_null()).then(pl.lit("the text is null")).alias(ERROR),
    )
    return counts.to_arrow().add_column(0, ROW_ID, batch[ROW_ID])
