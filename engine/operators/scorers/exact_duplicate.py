"""`score: exact_duplicate`: texts that are equal, as they are or but for case and white space."""

from __future__ import annotations

from typing import Literal

import pyarrow as pa

from engine.operator import Context, Params, Rows, scorer
from engine.operators.scorers._texts import NULL_TEXT, TEXT, flat_texts
from engine.schema import ERROR, ROW_ID, content_digests


class ExactDuplicateParams(Params):
    """`normalize: case_and_space` compares in lower case, with one blank for each run of white space and none around.

    With `none` every character counts.
    """

    normalize: Literal["none", "case_and_space"] = "none"


@scorer(
    params=ExactDuplicateParams,
    reads={"text": TEXT},
    writes={"exact_duplicate_of": pa.string(), "exact_duplicates": pa.int64()},
)
def exact_duplicate(rows: Rows, params: ExactDuplicateParams, ctx: Context) -> pa.Table:  # noqa: ARG001
    """Names, for each text that occurs more than once, the row with the smallest row_id that has it.

    exact_duplicate_of is null for that row itself and for a text that occurs once, so `exact_duplicate_of IS NULL`
    keeps one row of each text; exact_duplicates counts the rows that have the text. Conversations are compared as their
    lines `role: content`. Texts are compared by digests of 96 bits, so they need not fit in memory. A null text equals
    no other: it has no answer, with the reason in `error`.
    """
    import polars as pl  # half a second, which a plan shouldn't pay

    ids = rows.whole()[ROW_ID]
    digests = pa.chunked_array([_digests(part, params) for part in rows.parts("text")], pa.string())
    first, known = pl.col(ROW_ID).min().over("digest"), pl.col("digest").is_not_null()
    found = pl.DataFrame(pa.table({ROW_ID: ids, "digest": digests})).select(
        pl.when(known & (first != pl.col(ROW_ID))).then(first).alias("exact_duplicate_of"),
        pl.when(known).then(pl.len().over("digest").cast(pl.Int64)).alias("exact_duplicates"),
        pl.when(~known).then(pl.lit(NULL_TEXT)).alias(ERROR),
    )
    return found.to_arrow().add_column(0, ROW_ID, ids)


def _digests(part: pa.Table, params: ExactDuplicateParams) -> pa.Array:
    """A digest for each text of a part, string [n]; null where the text is."""
    import polars as pl

    texts = flat_texts(part["text"])
    if params.normalize == "case_and_space":
        plain = pl.Series(texts, dtype=pl.String).str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars(" ")
        texts = plain.to_arrow(compat_level=pl.CompatLevel.oldest())
    digests = content_digests(pa.table({"text": texts}), ["text"])
    return pa.array(digests, pa.string(), mask=texts.is_null().to_numpy(zero_copy_only=False))
