"""`select: filter`: the rows for which a SQL condition is true."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from engine.errors import SetwrightError
from engine.operator import Context, Params, selector
from engine.operators.selectors._verdict import verdict
from engine.schema import ROW_ID


class FilterParams(Params):
    """`where` is a SQL condition over the table's columns; `reason` names the drop in a word of the user's own."""

    where: str = Field(min_length=1)
    reason: str | None = Field(None, min_length=1)

    def drop_reasons(self) -> tuple[str, str]:
        """Why a row is dropped where the condition is false, and where it is null."""
        if self.reason is not None:
            return self.reason, f"{self.reason} (where is null)"
        return f"where is false: {self.where}", f"where is null: {self.where}"


@selector(params=FilterParams, reads={}, expressions=("where",))
def filter(batch: pa.Table, params: FilterParams, ctx: Context) -> pa.Table:  # noqa: A001, ARG001
    """Keeps the rows for which the condition is true, in the table's order.

    As in SQL a condition that is null does not hold; the recorded reason tells it from one that is false.

    Raises:
        SetwrightError: the expression gives something else than true, false and null.
    """
    held = batch["where"]
    if not pa.types.is_boolean(held.type):
        raise SetwrightError(
            f"where gives {held.type}, not true or false: {params.where}", cure="make it a condition: n_words > 10"
        )
    kept = pc.fill_null(held, False).to_numpy()
    which = pa.array(held.is_null().to_numpy().astype(np.int8), mask=kept)  # a text for the dropped rows alone
    reasons = pa.DictionaryArray.from_arrays(which, pa.array(params.drop_reasons())).cast(pa.string())
    return verdict(batch[ROW_ID], np.flatnonzero(kept), reasons)
