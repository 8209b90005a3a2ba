"""Scorers in batch form: part by part on the runner's workers, or awaited where they talk to a model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from engine.context import StepContext
from engine.errors import ModelError
from engine.laws import check_score, conform
from engine.plan.columns import score_columns
from engine.schema import ERROR, ROW_ID
from engine.store import Store
from engine.work.job import Job, Result, Runner, Shard, binder, errors_table, incomplete

PARTS_AWAITED = 4
"""Parts of an awaited scorer in flight: enough to keep a model busy across the end of a part."""


async def score_vector(job: Job, runner: Runner) -> Result:
    """A plain function over batches, mapped over the shards wherever the runner sees fit."""
    todo = [part for part, rows in enumerate(job.source.part_rows) if not _is_done(job, part, rows)]
    async for rows in runner.map(score_shard, map(job.shard, todo)):
        job.progress.done += rows
    job.stop.check(job.planned.name)
    return _result(job, [])


def score_shard(shard: Shard) -> int:
    """Do one part and write it; returns its rows."""
    batch = shard.batch()
    scored = shard.operator.fn(batch, shard.params, StepContext(shard.seed))
    return _write(shard, batch, Scored(scored))


async def score_awaited(job: Job) -> Result:
    """An `async def` over batches: a few parts in flight, each awaited as a whole."""
    limit = asyncio.Semaphore(PARTS_AWAITED)
    context = binder(job)(None)
    failed: list[str] = []

    async def one(part: int, rows: int) -> None:
        async with limit:
            if job.stop.requested or _is_done(job, part, rows):
                return
            shard = job.shard(part)
            batch = await asyncio.to_thread(shard.batch)
            scored = await _score(shard, batch, context)
            job.progress.done += await asyncio.to_thread(_write, shard, batch, scored)
            failed.extend(scored.failures)

    async with asyncio.TaskGroup() as group:
        for part, rows in enumerate(job.source.part_rows):
            group.create_task(one(part, rows))
    job.stop.check(job.planned.name)
    return _result(job, failed)


@dataclass(frozen=True)
class Scored:
    """A scorer's rows, and the rows whose model calls failed, which are null for now."""

    table: pa.Table
    failures: Mapping[str, str] = field(default_factory=dict)  # row_id -> why


async def _score(shard: Shard, batch: pa.Table, context: StepContext) -> Scored:
    """Score a batch. A batch that a server refuses for one of its rows is halved until that row stands alone."""
    try:
        return Scored(await shard.operator.fn(batch, shard.params, context))
    except ModelError as e:
        if not e.refused or batch.num_rows == 1:
            return Scored(batch.select([ROW_ID]), dict.fromkeys(batch[ROW_ID].to_pylist(), e.message))
    half = batch.num_rows // 2
    first = await _score(shard, batch.slice(0, half), context)
    second = await _score(shard, batch.slice(half), context)
    table = pa.concat_tables([first.table, second.table], promote_options="default")
    return Scored(table, {**first.failures, **second.failures})


def _is_done(job: Job, part: int, rows: int) -> bool:
    """Whether a part is there from before, in the cut that the table has now."""
    return job.store.part_rows(job.fingerprint, part) == rows


def _write(shard: Shard, batch: pa.Table, scored: Scored) -> int:
    """Check and write one part; with failed rows, as a part of an incomplete result."""
    label = f"score: {shard.operator.name}"
    store = Store(shard.home)
    table, errors = _split_errors(scored)
    names = score_columns(shard.rename, [n for n in table.column_names if n != ROW_ID])
    table = table.rename_columns([names.get(n, n) for n in table.column_names])
    for name, kind in shard.writes.items():
        if name not in table.column_names and scored.failures:  # every row failed
            table = table.append_column(name, pa.nulls(table.num_rows, kind))
    table = conform(table, shard.writes, label)
    check_score(table, batch[ROW_ID], label)
    target = incomplete(shard.fingerprint) if scored.failures else shard.fingerprint
    if errors.num_rows:
        store.write_part(target, shard.part, errors, "errors")
    store.write_part(target, shard.part, table)
    return int(table.num_rows)


def _split_errors(scored: Scored) -> tuple[pa.Table, pa.Table]:
    """The scores, and why some are null: the scorer's own reasons, then the failed calls."""
    table, reasons = scored.table, {}
    if ERROR in table.column_names:
        wrong = table.filter(pc.is_valid(table[ERROR]))
        reasons = dict(zip(wrong[ROW_ID].to_pylist(), wrong[ERROR].to_pylist(), strict=True))
        table = table.drop_columns([ERROR])
    errors = {row: (reason, False) for row, reason in reasons.items()}
    return table, errors_table(errors | {row: (reason, True) for row, reason in scored.failures.items()})


def _result(job: Job, failed: list[str]) -> Result:
    first = job.fingerprint if job.store.has_part(job.fingerprint, 0) else incomplete(job.fingerprint)
    return Result(list(job.source.part_rows), job.store.read_part(first, 0).schema, failed)
