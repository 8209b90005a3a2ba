"""`select: isa`: the rows whose leaving out would change the entropy most, by the scores of `score: isa`.

Khera et al., "Efficient Alignment of Large Language Models via Data Sampling" (arXiv 2411.10545, algorithm 1).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa

from engine.operator import Context, Reads, selector
from engine.operators.selectors._budget import BudgetParams, gives
from engine.operators.selectors._verdict import NO_SCORE, has_score, ranked, verdict
from engine.schema import NUMBER_TYPE, ROW_ID

BELOW_CUT = "below_cut"
ENOUGH = 6  # of so many rows none has more than 1/e of the sum of p: e / (e + 5) < 1/e


class IsaParams(BudgetParams):
    """`direction` is how "the largest change of entropy" is read; the text doesn't say which one made its tables.

    `signed`: the algorithm as it is printed. The change is - l' exp(l'), at most 0, and falling order takes the least
    likely rows first, the atypical ones. `magnitude`: by its size, the most likely rows first. `normalised`: by
    - q log q with q = p / sum of p, which from six rows on takes the most likely rows first, too.
    """

    direction: Literal["signed", "magnitude", "normalised"] = "signed"


@selector(params=IsaParams, reads={"isa_loglik": Reads(NUMBER_TYPE)}, gives=gives)
def isa(batch: pa.Table, params: IsaParams, ctx: Context) -> pa.Table:  # noqa: ARG001  (the form of a selector)
    """Keeps the rows of the largest change of entropy; the select_rank of a kept row is the paper's rank.

    Each reading of the change orders the rows by their log-likelihood alone (isa_loglik), so that another direction
    or budget fits nothing anew. Equal rows go in the order of row_id; one without a log-likelihood has `no_score`.
    `signed` favours rows that are unlike all others, broken ones first of all: filter them out before. To sample with
    chances in proportion to p is not what the paper does: one far-off row sets the scale of p.
    """
    picks = in_order(batch, params.direction)[: params.count(len(batch))]
    reasons = pa.array(np.where(has_score(batch["isa_loglik"]), BELOW_CUT, NO_SCORE))
    return verdict(batch[ROW_ID], picks, reasons)


def in_order(batch: pa.Table, direction: str) -> np.ndarray:
    """Positions of the rows that have a log-likelihood, the largest change of entropy first."""
    order = ranked(batch, "isa_loglik", "asc" if direction == "signed" else "desc")
    if direction == "normalised" and 1 < len(order) < ENOUGH:
        loglik = batch["isa_loglik"].cast(pa.float64()).to_numpy()[order]
        p = np.exp((loglik - loglik.min()) / (np.ptp(loglik) or 1))
        q = p / p.sum()
        order = order[np.argsort(q * np.log(q), kind="stable")]
    return order
