"""`score: text_statistics`: what a text is made of, as ratios that data filters use."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
from pydantic import Field

from engine.operator import Context, Params, Reads, scorer
from engine.schema import TEXT_TYPE

ENGLISH = (
    "the a an of to in and or is are was were be been for on with as by at from that this it its he she they you i we "
    "his her their your not but have has had do does did what which who how when where can will would if then there"
).split()


class TextStatisticsParams(Params):
    """`stopwords` replaces the short English list; words of lower case without white space."""

    stopwords: list[str] = Field(default_factory=lambda: list(ENGLISH), min_length=1)


@scorer(
    params=TextStatisticsParams,
    reads={"text": Reads(TEXT_TYPE, default=("response", "text"))},
    writes={
        "alnum_ratio": pa.float64(),
        "special_ratio": pa.float64(),
        "avg_line_length": pa.float64(),
        "avg_word_length": pa.float64(),
        "stopword_ratio": pa.float64(),
    },
)
def text_statistics(batch: pa.Table, params: TextStatisticsParams, ctx: Context) -> pa.Table:  # noqa: ARG001
    """Shares of letters, special characters and stop words, and the mean lengths of lines and words."""
    text = pl.col("text").str
    words = text.to_lowercase().str.extract_all(r"\S+")
    frame = pl.DataFrame(batch.select(["text"])).select(
        n=text.len_chars().cast(pl.Float64),
        alnum=text.count_matches(r"[\p{L}\p{N}]"),
        space=text.count_matches(r"\s"),
        lines=text.count_matches("\n", literal=True) + 1,
        words=words.list.len(),
        stop=words.list.eval(pl.element().is_in(params.stopwords)).list.sum(),
    )
    n, alnum, space = pl.col("n"), pl.col("alnum"), pl.col("space")
    return frame.select(
        alnum_ratio=alnum / n,
        special_ratio=(n - alnum - space) / n,
        avg_line_length=n / pl.col("lines"),
        avg_word_length=(n - space) / pl.col("words"),
        stopword_ratio=pl.col("stop") / pl.col("words"),
    ).to_arrow()
