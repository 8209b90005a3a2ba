"""How many rows a selector keeps: a number, or a share of the table."""

from __future__ import annotations

from pydantic import Field, model_validator

from engine.operator import Params


class BudgetParams(Params):
    """Either `budget`, a number of rows, or `share`, a part of the table in (0, 1]."""

    budget: int | None = Field(None, ge=1)
    share: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def _budget_or_share(self) -> BudgetParams:
        if (self.budget is None) == (self.share is None):
            raise ValueError("give either budget (a number of rows) or share (a part of the table), not both")
        return self

    def count(self, rows: int) -> int:
        """How many of so many rows are kept at most; a share is rounded to the nearest whole row."""
        if self.share is not None:
            return round(self.share * rows)
        assert self.budget is not None
        return min(self.budget, rows)


def gives(params: BudgetParams, rows: int) -> tuple[int, int]:
    """Between none, where no row can be judged, and all that the budget allows."""
    return 0, params.count(rows)
