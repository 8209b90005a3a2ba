"""The rows that a generator without `from` begins with: an id and nothing else.

The id of the k-th row comes from the operator's name and k alone, so a table that is to have more rows keeps the draws
and the answered calls of those that it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from engine.plan.steps import Step
from engine.schema import ID_FIELDS, child_row_id


def roots_data(step: Step, limit: int | None) -> dict[str, Any]:
    """What a roots step is: whose rows, and how many; the build's `limit` is no more than another number of rows."""
    assert step.operator is not None
    assert step.operator.roots is not None
    rows = step.operator.roots(step.params)
    return {"of": step.maker, "rows": rows if limit is None else min(rows, limit)}


def root_rows(body: Mapping[str, Any]) -> pa.Table:
    """The rows of a roots step, from its payload: `row_id`, and a `parent_id` that is null."""
    ids = [child_row_id("", body["of"], k) for k in range(body["rows"])]
    return pa.table([pa.array(ids, pa.string()), pa.nulls(len(ids), pa.string())], schema=pa.schema(ID_FIELDS))
