"""`select: random`: a random sample that depends on the seed and the rows' ids alone."""

from __future__ import annotations

import pyarrow as pa
from pydantic import Field, model_validator

from engine.draws import draw_keys
from engine.operator import Context, Params, selector
from engine.operators.selectors._verdict import ranked, verdict
from engine.schema import ROW_ID

NOT_DRAWN = "not_drawn"


class RandomParams(Params):
    """Either `k`, a number of rows, or `share`, a part of the table in (0, 1]."""

    k: int | None = Field(None, ge=1)
    share: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_of_two(self) -> RandomParams:
        if (self.k is None) == (self.share is None):
            raise ValueError("give either k (a number of rows) or share (a part of the table), not both")
        return self

    def count(self, n: int) -> int:
        """How many of n rows are drawn; a share is rounded to the nearest whole row."""
        if self.share is not None:
            return round(self.share * n)
        assert self.k is not None
        return self.k


def _gives(params: RandomParams, rows: int) -> tuple[int, int]:
    drawn = min(params.count(rows), rows)
    return drawn, drawn


@selector(params=RandomParams, reads={}, seeded=True, gives=_gives)
def random(batch: pa.Table, params: RandomParams, ctx: Context) -> pa.Table:
    """Draws k rows, or a share of the table, without replacement and with equal chances.

    Every row has a number that follows from the seed and its id, and the lowest numbers win. So the sample does not
    depend on the order of the rows, a smaller one is part of a larger one, and new rows displace only few.
    """
    keys = pa.array(draw_keys(batch[ROW_ID], ctx.seed))
    order = ranked(batch.append_column("draw", keys), "draw", "asc")
    reasons = pa.repeat(NOT_DRAWN, batch.num_rows)
    return verdict(batch[ROW_ID], order[: params.count(batch.num_rows)], reasons)
