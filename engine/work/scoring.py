"""Asks an operator for a row, or a scorer for a batch: what tables and a trainer's answers have in common.

A failed model call costs the rows that asked, and no others. Where the rows come from, and what becomes of the scores,
is not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from engine.context import StepContext
from engine.errors import ModelError, RowError
from engine.laws import LawError, check_score, conform
from engine.operator import Operator, Params, Row
from engine.schema import ERROR, ROW_ID
from engine.work.job import Bind

Errors = dict[str, tuple[str, bool]]
"""row_id -> why it has no answer, and whether another try might help."""


@dataclass(frozen=True)
class Scored:
    """A scorer's rows, and the rows whose model calls failed, which are null for now."""

    table: pa.Table
    failures: Mapping[str, str] = field(default_factory=dict)  # row_id -> why


async def ask_row(
    operator: Operator, params: Params | None, row: Row, context: StepContext
) -> tuple[Any, tuple[str, bool] | None]:
    """What an operator in row form says of a row, or why it says nothing, and whether another try might help."""
    try:
        return await operator.fn(row, params, context), None
    except ModelError as e:
        return None, (e.message, True)
    except RowError as e:
        return None, (e.message, False)


async def ask_batch(operator: Operator, params: Params | None, batch: pa.Table, context: StepContext) -> Scored:
    """Score a batch. A batch that a server refuses for one of its rows is halved until that row stands alone."""
    try:
        return Scored(await operator.fn(batch, params, context))
    except ModelError as e:
        if not e.refused or batch.num_rows == 1:
            return Scored(batch.select([ROW_ID]), dict.fromkeys(batch[ROW_ID].to_pylist(), e.message))
    half = batch.num_rows // 2
    first = await ask_batch(operator, params, batch.slice(0, half), context)
    second = await ask_batch(operator, params, batch.slice(half), context)
    table = pa.concat_tables([first.table, second.table], promote_options="default")
    return Scored(table, {**first.failures, **second.failures})


def split_errors(scored: Scored) -> tuple[pa.Table, Errors]:
    """The scores, and why some are null: the scorer's own reasons, then the failed calls."""
    table, reasons = scored.table, {}
    if ERROR in table.column_names:
        wrong = table.filter(pc.is_valid(table[ERROR]))
        reasons = dict(zip(wrong[ROW_ID].to_pylist(), wrong[ERROR].to_pylist(), strict=True))
        table = table.drop_columns([ERROR])
    errors = {row: (reason, False) for row, reason in reasons.items()}
    return table, errors | {row: (reason, True) for row, reason in scored.failures.items()}


def filled(table: pa.Table, writes: Mapping[str, pa.DataType]) -> pa.Table:
    """With nulls in the columns that are missing where every row failed."""
    for name in writes.keys() - set(table.column_names):
        table = table.append_column(name, pa.nulls(table.num_rows, writes[name]))
    return table


def check_declared(rows: list[Row], declared: list[str], operator: Operator) -> None:
    """Raise LawError where rows have a column that isn't declared: Arrow would leave it out without a word."""
    undeclared = set().union(*rows) - set(declared)
    if undeclared:
        raise LawError(f"{operator.name} wrote undeclared columns: {', '.join(sorted(undeclared))}")


async def score_rows(
    operator: Operator, params: Params | None, batch: pa.Table, writes: Mapping[str, pa.DataType], bind: Bind
) -> tuple[pa.Table, Errors]:
    """The scores of a batch in memory under the scorer's own names, null where there is a reason for it.

    Raises:
        LawError: the scorer broke a law of its kind.
    """
    if operator.by_row:
        table, errors = await _by_row(operator, params, batch, writes, bind)
    elif operator.is_async:
        scored = await ask_batch(operator, params, batch, bind(None))
        table, errors = split_errors(scored)
        table = filled(table, writes) if scored.failures else table
    else:
        found = await asyncio.to_thread(operator.fn, batch, params, bind(None))
        table, errors = split_errors(Scored(found))
    label = f"score: {operator.name}"
    table = conform(table, writes, label)
    check_score(table, batch[ROW_ID], label)
    return table, errors


async def _by_row(
    operator: Operator, params: Params | None, batch: pa.Table, writes: Mapping[str, pa.DataType], bind: Bind
) -> tuple[pa.Table, Errors]:
    rows = batch.to_pylist()
    outcomes = await asyncio.gather(*(ask_row(operator, params, row, bind(row[ROW_ID])) for row in rows))
    errors = {row[ROW_ID]: error for row, (_, error) in zip(rows, outcomes, strict=True) if error is not None}
    scores = [answer or {} for answer, _ in outcomes]
    check_declared(scores, list(writes), operator)
    table = pa.Table.from_pylist(scores, schema=pa.schema(list(writes.items())))
    return table.add_column(0, ROW_ID, batch[ROW_ID]), errors
