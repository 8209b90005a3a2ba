"""`score: rouge`: how many words, pairs of words and words in order a text shares with its own references."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.operator import Context, Params, scorer
from engine.operators.scorers._references import READS, pairs, reasons
from engine.schema import ERROR, ROW_ID
from engine.texts.rouge import tokens
from engine.texts.rouge_pairs import rouge_l_pairs, rouge_n_pairs


class RougeParams(Params):
    """There is nothing to set."""


@scorer(
    params=RougeParams,
    reads=READS,
    writes={"rouge_1": pa.float64(), "rouge_2": pa.float64(), "rouge_l": pa.float64()},
)
def rouge(batch: pa.Table, params: RougeParams, ctx: Context) -> pa.Table:  # noqa: ARG001  (the form of a scorer)
    """Compares a text with its reference, or its references, by ROUGE-1, ROUGE-2 and ROUGE-L F1, each from 0 to 1.

    Of several references the best counts, for each of the three by itself. Tokens are runs of Latin letters and digits
    in lower case, without stemming; texts without any score 0. A row whose text or reference is null has no scores,
    with the reason in `error`. (`score: rouge_l` compares with all texts of another table.)
    """
    rows, references = pairs(batch)
    own = batch["text"].cast(pa.large_string()).chunks
    texts = tokens(pa.chunked_array([*own, references], pa.large_string()))
    sides = rows, np.arange(batch.num_rows, batch.num_rows + len(rows))
    found = {
        "rouge_1": rouge_n_pairs(texts, *sides, 1),
        "rouge_2": rouge_n_pairs(texts, *sides, 2),
        "rouge_l": rouge_l_pairs(texts, *sides),
    }
    scored, first = np.unique(rows, return_index=True)
    columns = {name: _best(f1, scored, first, batch.num_rows) for name, f1 in found.items()}
    return pa.table({ROW_ID: batch[ROW_ID], **columns, ERROR: reasons(batch, scored)})


def _best(f1: np.ndarray, scored: np.ndarray, first: np.ndarray, rows: int) -> pa.Array:
    """The best score of each row, whose pairs begin at `first`."""
    best = np.full(rows, np.nan)
    if len(first):
        best[scored] = np.maximum.reduceat(f1, first)
    return pa.array(best, mask=np.isnan(best))
