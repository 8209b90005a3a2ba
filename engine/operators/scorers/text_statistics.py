"""`score: text_statistics`: what a text is made of, as ratios that filters use.

The names of the ratios follow Data-Juicer's filters (alphanumeric, special characters, average line length, stop
words) and Gopher's quality rules (mean word length; Rae et al., arXiv 2112.11446, table A1).
"""

from __future__ import annotations

import pyarrow as pa
from pydantic import Field, field_validator

from engine.operator import Context, Params, Reads, scorer
from engine.schema import ERROR, ROW_ID, TEXT_TYPE

ENGLISH = (
    "the a an of to in and or is are was were be been for on with as by at from that this it its he she they you i we "
    "his her their your not but have has had do does did what which who how when where can will would if then there"
)


class TextStatisticsParams(Params):
    """`stopwords` replaces the short English list."""

    stopwords: list[str] = Field(default_factory=ENGLISH.split, min_length=1)

    @field_validator("stopwords")
    @classmethod
    def _can_match(cls, stopwords: list[str]) -> list[str]:
        never = [word for word in stopwords if word != word.lower() or word.split() != [word]]
        if never:
            raise ValueError(f"{never} can never match: give single words in lower case")
        return stopwords


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
    """Measures the shares of letters, special characters and stop words, and the mean lengths of lines and words.

    A character is a Unicode code point. alnum_ratio: the share of letters and numbers (categories L and N).
    special_ratio: the share of what is neither those nor white space. avg_line_length: characters per line, line
    breaks included. avg_word_length: characters per word. stopword_ratio: the share of words that are, in lower case
    and as a whole, stop words ("the," is none). A word is a run without white space (Unicode's White_Space).

    A null text has null statistics, and a ratio to nothing is null: an empty text has no alnum_ratio. `error` says so.
    """
    import polars as pl  # half a second, which a plan shouldn't pay

    counts = pl.DataFrame(batch.select(["text"])).select(
        chars=pl.col("text").str.len_chars().cast(pl.Float64),
        special=pl.col("text").str.count_matches(r"[^\p{L}\p{N}\s]"),
        lines=pl.col("text").str.count_matches("\n", literal=True) + 1,
        # With every white space a blank, the pieces between blanks give words and white space in one go: the two
        # regular expressions that count them take three times as long.
        pieces=pl.col("text").str.to_lowercase().str.replace_all(r"[\s--\ ]", " ").str.split(" "),
    )
    piece = pl.element()
    counts = counts.with_columns(
        white=pl.col("pieces").list.len() - 1,
        words=pl.col("pieces").list.eval(piece != "").list.sum(),
        stopwords=pl.col("pieces").list.eval(piece.is_in(params.stopwords)).list.sum(),
    )
    chars, special, white, words = (pl.col(name) for name in ("chars", "special", "white", "words"))
    ratios = counts.select(
        alnum_ratio=(chars - special - white) / chars,
        special_ratio=special / chars,
        avg_line_length=chars / pl.col("lines"),
        avg_word_length=(chars - white) / words,
        stopword_ratio=pl.col("stopwords") / words,
    ).fill_nan(None)
    nothing = (
        pl.when(chars.is_null()).then(pl.lit("the text is null"))
        .when(chars == 0).then(pl.lit("the text is empty"))
        .when(words == 0).then(pl.lit("the text has no words"))
    )  # fmt: skip
    reasons = counts.select(nothing.alias(ERROR))
    return ratios.hstack(reasons).to_arrow().add_column(0, ROW_ID, batch[ROW_ID])
