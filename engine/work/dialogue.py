"""Operators in row form: thousands of rows in flight on one event loop, across the borders of parts.

A fixed number of workers take rows from one queue, so a slow row never holds up the rows after it. A part is written
as soon as its last row is done. A row whose model call fails costs that row only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from engine.laws import check_generate, check_score, conform
from engine.operator import Kind, Row
from engine.plan.views import score_columns
from engine.schema import PARENT_ID, ROW_ID, child_row_id
from engine.stop import Stopped
from engine.work.job import ROW_CALLS, Job, Result, binder, errors_table, incomplete
from engine.work.scoring import ask_row, check_declared


@dataclass
class OpenPart:
    """A part whose rows are being done."""

    index: int
    ids: pa.ChunkedArray
    answers: list[Any]
    left: int
    errors: dict[str, tuple[str, bool]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)  # (row_id, call_id)

    def keep(self, position: int, row_id: str, answer: Any, error: tuple[str, bool] | None, calls: list[bytes]) -> None:
        """What came of a row."""
        self.answers[position] = answer
        if error is not None:
            self.errors[row_id] = error
        self.calls += [(row_id, id_.hex()) for id_ in calls]
        self.left -= 1


async def dialogue(job: Job) -> Result:
    """Run a row operator over every row that is not done yet."""
    result = Result([0] * job.source.n_parts, pa.schema([]))
    feed = Feed(job, result)
    bind, operator, params = binder(job), job.operator, job.planned.step.params

    async def worker() -> None:
        while not job.stop.requested:
            item = await feed.next()
            if item is None:
                return
            part, position, row = item
            context = bind(row[ROW_ID])
            try:
                answer, error = await ask_row(operator, params, row, context)
            except Stopped:  # the row is left undone, and so is its part
                return
            part.keep(position, row[ROW_ID], answer, error, context.call_ids)
            job.progress.done += 1
            if part.left == 0:
                await asyncio.to_thread(_write, job, part, result)

    async with asyncio.TaskGroup() as group:
        for _ in range(job.rows_in_flight):
            group.create_task(worker())
    job.stop.check(job.planned.name)
    return result


class Feed:
    """The rows of all parts that are not written yet, one part read at a time."""

    def __init__(self, job: Job, result: Result) -> None:
        self._job, self._result = job, result
        self._parts = iter(range(job.source.n_parts))
        self._ready: deque[tuple[OpenPart, int, Row]] = deque()
        self._reading = asyncio.Lock()

    async def next(self) -> tuple[OpenPart, int, Row] | None:
        """The next row, its part and its position in it; None when there are no more."""
        while not self._ready:
            async with self._reading:
                if not self._ready and not await self._read():
                    return None
        return self._ready.popleft()

    async def _read(self) -> bool:
        """Read one more part; whether there was one."""
        index = next(self._parts, None)
        if index is None:
            return False
        job, result = self._job, self._result
        if job.store.has_part(job.fingerprint, index):
            done = await asyncio.to_thread(job.store.read_part, job.fingerprint, index)
            result.parts[index], result.schema = done.num_rows, done.schema
            return True
        table = await asyncio.to_thread(job.source.batch, index, job.planned.columns.reads)
        part = OpenPart(index, table[ROW_ID], [None] * table.num_rows, table.num_rows)
        if not table.num_rows:
            await asyncio.to_thread(_write, job, part, result)
        self._ready.extend((part, position, row) for position, row in enumerate(table.to_pylist()))
        return True


def _write(job: Job, part: OpenPart, result: Result) -> None:
    """Write a part whose rows are all done; where calls failed, as a part of an incomplete result."""
    if job.operator.kind is Kind.GENERATE:
        table = _children(job, part)
        if job.planned.step.begins:
            table = _begun(table, part)
    else:
        table = _scores(job, part)
    failed = [row for row, (_, transient) in part.errors.items() if transient]
    target = incomplete(job.fingerprint) if failed else job.fingerprint
    if part.errors:
        job.store.write_part(target, part.index, errors_table(part.errors), "errors")
    if part.calls:
        calls = pa.table(
            dict(zip(ROW_CALLS.names, zip(*sorted(part.calls), strict=True), strict=True)), schema=ROW_CALLS
        )
        job.store.write_part(target, part.index, calls, "calls")
    job.store.write_part(target, part.index, table)
    result.failed += failed
    result.parts[part.index], result.schema = table.num_rows, table.schema


def _children(job: Job, part: OpenPart) -> pa.Table:
    """The new rows of a part's rows, in the order of their parents."""
    maker = job.planned.step.maker
    label = f"generate: {job.operator.name}"
    rows = [
        {**child, ROW_ID: child_row_id(parent, maker, k), PARENT_ID: parent}
        for parent, children in zip(part.ids.to_pylist(), part.answers, strict=True)
        for k, child in enumerate(children or ())
    ]
    table = conform(_table(rows, job, [ROW_ID, PARENT_ID]), job.planned.columns.writes, label)
    check_generate(table, part.ids, label)
    return table


def _begun(table: pa.Table, part: OpenPart) -> pa.Table:
    """The rows without their parents, which say nothing; the calls that were made for a parent become the rows' own."""
    children: dict[str, list[str]] = {}
    for child, parent in zip(table[ROW_ID].to_pylist(), table[PARENT_ID].to_pylist(), strict=True):
        children.setdefault(parent, []).append(child)
    part.calls = [(row, call) for parent, call in part.calls for row in children.get(parent, [parent])]
    nothing = pa.nulls(table.num_rows, pa.string())
    return table.set_column(table.schema.get_field_index(PARENT_ID), PARENT_ID, nothing)


def _scores(job: Job, part: OpenPart) -> pa.Table:
    """One row for each row; nulls where a row has no answer."""
    label = f"score: {job.operator.name}"
    columns = job.planned.columns.writes
    scored = [answer for answer in part.answers if answer is not None]
    names = score_columns(job.planned.step.rename, scored[0] if scored else ())
    rows = [
        {ROW_ID: row, **{names[name]: value for name, value in (answer or {}).items()}}
        for row, answer in zip(part.ids.to_pylist(), part.answers, strict=True)
    ]
    table = conform(_table(rows, job, [ROW_ID]), columns, label)
    check_score(table, part.ids, label)
    return table


def _table(rows: list[Row], job: Job, ids: list[str]) -> pa.Table:
    schema = pa.schema([(name, pa.string()) for name in ids] + list(job.planned.columns.writes.items()))
    check_declared(rows, schema.names, job.operator)
    return pa.Table.from_pylist(rows, schema=schema)
