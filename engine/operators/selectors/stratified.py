"""`select: stratified`: so many rows of each stratum, by its size or by given shares.

Allocation to strata: proportional (Cochran, Sampling Techniques, 3rd ed., chapter 5), equal, or tempered between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from engine.errors import SetwrightError, did_you_mean
from engine.operator import Context, selector
from engine.operators.selectors._budget import BudgetParams, gives
from engine.operators.selectors._groups import Groups, best_first, check_shares, fill, groups_of
from engine.operators.selectors._verdict import NO_SCORE, verdict
from engine.schema import ROW_ID
from engine.statistics.quotas import quotas, tempered

NO_SHARE = "no_share"
STRATUM_QUOTA = "stratum_quota"


class StratifiedParams(BudgetParams):
    """`by` is a SQL expression whose values are the strata, of any type but lists and structs; null is one, too.

    - `alpha`: a stratum of n rows weighs n^alpha: 1 is proportional, 0 gives all strata the same, what lies between is
      tempered.
    - `shares`: instead of `alpha`, the share of the rows kept that each stratum gets, by its value as text
      (`{math: 0.3, code: 0.7}`, `{"true": 1}`). They sum to 1. Strata that they leave out get nothing.
    - `min_rows`, `max_rows`: of each stratum that gets any, as far as it has them.
    - `score`: a SQL expression, the highest values first; without it the rows are drawn at random.
    """

    by: str = Field(min_length=1)
    alpha: float = Field(1.0, ge=0, le=1)
    shares: dict[str, Annotated[float, Field(gt=0, le=1)]] | None = Field(None, min_length=1)
    min_rows: int = Field(0, ge=0)
    max_rows: int | None = Field(None, ge=1)
    score: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _alpha_or_shares(self) -> StratifiedParams:
        if self.shares is not None:
            check_shares(self.shares)
            if "alpha" in self.model_fields_set:
                raise ValueError("give either alpha or shares: shares leave nothing to weigh by size")
        if self.max_rows is not None and self.max_rows < self.min_rows:
            raise ValueError(f"max_rows ({self.max_rows}) is less than min_rows ({self.min_rows})")
        return self


@selector(params=StratifiedParams, reads={}, expressions=("by", "score"), seeded=True, gives=gives)
def stratified(batch: pa.Table, params: StratifiedParams, ctx: Context) -> pa.Table:
    """Divides the budget among the strata and keeps the best, or randomly drawn, rows of each.

    Quotas are rounded by largest remainders, equal ones in the order of the strata's values; what a stratum has too few
    rows for goes to the others in proportion. So the budget is met exactly wherever strata with a share have the
    rows. A dropped row has no place in its stratum's quota (`stratum_quota`), stands in a stratum that `shares` leaves
    out (`no_share`), or has a score that is null or NaN (`no_score`); such a row counts in no stratum's size. Ranks
    go through the strata in step with their quotas, so that the first rows are a stratified sample themselves.

    Raises:
        SetwrightError: `shares` names a value that no row has, `by` can't group rows, or the minima are more than the
            budget.
    """
    groups = groups_of(batch["by"], "by")
    order = best_first(batch, ctx.seed)
    sizes = np.bincount(groups.of[order], minlength=len(groups.names))
    weights = tempered(sizes, params.alpha) if params.shares is None else _given(groups, params.shares)
    room = np.minimum(sizes, params.max_rows or len(batch))
    quota = quotas(params.count(len(batch)), weights, room, params.min_rows)
    judged = np.zeros(len(batch), bool)
    judged[order] = True
    why = np.select([~judged, weights[groups.of] == 0], [0, 1], 2)
    reasons = pa.array([NO_SCORE, NO_SHARE, STRATUM_QUOTA]).take(pa.array(why))
    return verdict(batch[ROW_ID], fill(order, groups.of, quota), reasons)


def _given(groups: Groups, shares: Mapping[str, float]) -> np.ndarray:
    """The share of each stratum, float64 [g]; 0 for those that are left out."""
    unknown = [name for name in shares if name not in groups.names]
    if unknown and groups.names:  # a table without rows has no strata, and nothing to divide
        known = [name for name in groups.names if name is not None]
        raise SetwrightError(
            f"shares names {unknown[0]!r}, which no row has in `by`{did_you_mean(unknown[0], known)}",
            cure="name values of `by` as text; for null write by: coalesce(..., 'none')",
        )
    return np.array([shares.get(name, 0.0) if name is not None else 0.0 for name in groups.names])
