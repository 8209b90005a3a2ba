"""`score: length`: how long a text is, in characters and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from engine.operator import Context, Params, Reads, scorer
from engine.schema import ERROR, ROW_ID, TEXT_TYPE

if TYPE_CHECKING:
    import polars as pl


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
    texts = pl.DataFrame(batch.select(["text"]))
    counts = texts.select(
        text.str.len_chars().cast(pl.Int64).alias("n_chars"),
        pl.when(text.is_null()).then(None).otherwise(_words(texts["text"])).alias("n_words"),
        pl.when(text.is_null()).then(pl.lit("the text is null")).alias(ERROR),
    )
    return counts.to_arrow().add_column(0, ROW_ID, batch[ROW_ID])


def _words(texts: pl.Series) -> pl.Series:
    """The words of each text (0 of a null), as the bytes that begin one: four times as fast as a regular expression.

    White space beyond ASCII is made ASCII first, so that a byte tells what is white.
    """
    import polars as pl

    if texts.str.contains(r"[^\x00-\x7f]").any():
        texts = texts.str.replace_all(r"[\s--\x00-\x7f]", " ")
    joined = texts.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest())
    ends = np.frombuffer(joined.buffers()[1], np.int64)[joined.offset : joined.offset + len(joined) + 1]
    data = np.frombuffer(joined.buffers()[2] or b"", np.uint8)[ends[0] : ends[-1]]
    ends = ends - ends[0]
    black = (data != ord(" ")) & (data - 9 >= 5)  # 9 to 13: tab to carriage return
    begins = black.copy()
    begins[1:] &= ~black[:-1]
    firsts = ends[:-1][ends[:-1] < len(data)]
    begins[firsts] = black[firsts]
    return pl.Series(np.diff(np.searchsorted(np.flatnonzero(begins), ends)))
