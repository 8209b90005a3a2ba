"""`select: weighted`: a random sample without replacement in which a row's chance grows with its weight.

Keys of Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006, algorithm A), in Gumbel's form (Kool
et al., arXiv 1903.06059): the largest of log(weight) + Gumbel noise are the largest of u^(1 / weight).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from engine.draws import waiting_times
from engine.errors import SetwrightError
from engine.operator import Context, selector
from engine.operators.selectors._budget import BudgetParams, gives
from engine.operators.selectors._verdict import ranked, verdict
from engine.schema import ROW_ID, is_number

NOT_DRAWN = "not_drawn"
REASONS = pa.array(["no_weight", "negative_weight", "zero_weight", "infinite_weight", NOT_DRAWN])


class WeightedParams(BudgetParams):
    """`weight` is a SQL expression: of two rows, the one of twice the weight is drawn first with twice the chance.

    `temperature` makes weights alike or more unlike: a weight w counts as w^(1 / temperature), so that 1 leaves them
    as they are, a high one draws nearly as `random` does, and a low one nearly as `top_k`.
    """

    weight: str = Field(min_length=1)
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)


@selector(params=WeightedParams, reads={}, expressions=("weight",), seeded=True, gives=gives)
def weighted(batch: pa.Table, params: WeightedParams, ctx: Context) -> pa.Table:
    """Draws rows one after the other without replacement, each with a probability in proportion to its weight.

    A row's key follows from the seed, its id and its weight alone, and the largest keys win. So the sample does not
    depend on the order of the rows, a smaller one is part of a larger one, and new rows displace only few. A row of
    weight 0 is never drawn (`zero_weight`), even when fewer rows than the budget have a weight; nor is one whose weight
    is negative (`negative_weight`), infinite (`infinite_weight`), null or NaN (`no_weight`).

    Raises:
        SetwrightError: the weights are no numbers.
    """
    weights = _numbers(batch["weight"])
    why = np.select([np.isnan(weights), weights < 0, weights == 0, np.isinf(weights)], [0, 1, 2, 3], 4)
    can = np.flatnonzero(why == len(REASONS) - 1)
    own_seed = ctx.draw("weighted")  # the draws of `random` decide who is here, if it came before
    waits = np.log(waiting_times(batch[ROW_ID].take(can), own_seed)) - np.log(weights[can]) / params.temperature
    drawn = ranked(pa.table({ROW_ID: batch[ROW_ID].take(can), "wait": waits}), "wait", "asc")
    return verdict(batch[ROW_ID], can[drawn[: params.count(len(batch))]], REASONS.take(pa.array(why)))


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """The weights as float64 [n], NaN for null."""
    if not (is_number(column.type) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type)):
        raise SetwrightError(
            f"weight is of type {column.type}, not a number", cure="make it one: weight: CAST(... AS DOUBLE)"
        )
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    numbers: np.ndarray = pc.fill_null(pc.cast(column, pa.float64(), safe=False), np.nan).to_numpy()
    return numbers
