"""`score: rouge_l`: how much a text resembles those of another table, on average and at most."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.needs import Side
from engine.operator import Context, Params, Reads, scorer
from engine.schema import ERROR, ROW_ID, TEXT_TYPE
from engine.texts.rouge import rouge_l as similarities
from engine.texts.rouge import tokens

TEXT = {"text": Reads(TEXT_TYPE, default=("instruction", "text"))}
BLOCK = 256  # references in one go; no score depends on it


class RougeLParams(Params):
    """There is nothing to set."""


@scorer(
    params=RougeLParams,
    reads=TEXT,
    writes={"avg_similarity": pa.float32(), "max_rouge_l": pa.float32()},
    sides={"references": Side(TEXT)},
)
def rouge_l(batch: pa.Table, params: RougeLParams, ctx: Context) -> pa.Table:  # noqa: ARG001
    """The ROUGE-L F1 of a text with each text of the side table `references`: the mean and the largest.

    Texts are compared by their Latin letters and digits, as in `select: novelty`; a reference without text counts as
    one with nothing in common. A null text has no scores, and neither has any where there are no references.
    """
    others = ctx.sides["references"].table["text"]
    n, m = batch.num_rows, len(others)
    texts = tokens(pa.chunked_array([*batch["text"].chunks, *others.cast(batch["text"].type).chunks]))
    total, most = np.zeros(n), np.zeros(n)
    for start in range(n, n + m, BLOCK):
        found = similarities(texts, np.arange(start, min(start + BLOCK, n + m)), np.arange(n))
        total += found.sum(axis=0)
        most = np.maximum(most, found.max(axis=0))
    unknown = batch["text"].is_null().to_numpy() if m else np.ones(n, bool)
    why = "the text is null" if m else "there are no references"
    return pa.table(
        {
            ROW_ID: batch[ROW_ID],
            "avg_similarity": pa.array(total / max(m, 1), pa.float32(), mask=unknown),
            "max_rouge_l": pa.array(most, pa.float32(), mask=unknown),
            ERROR: pa.array(np.full(n, why, object), pa.string(), mask=~unknown),
        }
    )
