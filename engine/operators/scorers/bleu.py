"""`score: bleu`: the sentence BLEU of a text against its own references, as sacrebleu computes it.

Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation" (2002); Post, "A Call for Clarity in
Reporting BLEU Scores" (2018).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa

from engine.operator import Context, Params, scorer
from engine.operators.scorers._references import READS, pairs, reasons
from engine.schema import ERROR, ROW_ID


class BleuParams(Params):
    """`tokenize` and `lowercase` are sacrebleu's; take `zh` for Chinese, and `char` where words aren't divided."""

    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    lowercase: bool = False


@scorer(params=BleuParams, reads=READS, writes={"bleu": pa.float64()})
def bleu(batch: pa.Table, params: BleuParams, ctx: Context) -> pa.Table:  # noqa: ARG001  (the form of a scorer)
    """Compares a text with its reference, or with all its references at once, by BLEU from 0 to 100.

    Orders that a text is too short for are left out (effective order); zero counts are smoothed exponentially. An empty
    text scores 0. A row whose text or reference is null has no score, with the reason in `error`. sacrebleu takes about
    a millisecond a row: in a table of millions, score what is left after selection.
    """
    from sacrebleu.metrics.bleu import BLEU  # a quarter of a second, which a plan shouldn't pay

    metric = BLEU(lowercase=params.lowercase, tokenize=params.tokenize, effective_order=True)
    rows, references = pairs(batch)
    scored, first = np.unique(rows, return_index=True)
    given = np.split(np.array(references.to_pylist(), object), first[1:])
    texts = batch["text"].take(pa.array(scored)).to_pylist()
    scores = np.zeros(batch.num_rows)
    scores[scored] = [metric.sentence_score(text, list(own)).score for text, own in zip(texts, given, strict=False)]
    scores = scores.clip(0, 100)  # the package's own rounding goes a little beyond
    why = reasons(batch, scored)
    return pa.table({ROW_ID: batch[ROW_ID], "bleu": pa.array(scores, mask=why.is_valid().to_numpy(False)), ERROR: why})
