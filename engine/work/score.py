"""Scorers in batch form: part by part on the runner's workers, or awaited where they talk to a model."""

from __future__ import annotations

import asyncio

import pyarrow as pa

from engine.context import StepContext
from engine.laws import check_score, conform
from engine.plan.views import score_columns
from engine.schema import ROW_ID
from engine.store import Store
from engine.work.job import Job, Result, Runner, Shard, binder, errors_table, incomplete
from engine.work.scoring import Scored, ask_batch, filled, split_errors

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
    scored = shard.operator.fn(batch, shard.params, StepContext(shard.seed, sides=shard.sides()))
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
            scored = await ask_batch(job.operator, shard.params, batch, context)
            job.progress.done += await asyncio.to_thread(_write, shard, batch, scored)
            failed.extend(scored.failures)

    async with asyncio.TaskGroup() as group:
        for part, rows in enumerate(job.source.part_rows):
            group.create_task(one(part, rows))
    job.stop.check(job.planned.name)
    return _result(job, failed)


def _is_done(job: Job, part: int, rows: int) -> bool:
    """Whether a part is there from before, in the cut that the table has now."""
    return job.store.part_rows(job.fingerprint, part) == rows


def _write(shard: Shard, batch: pa.Table, scored: Scored) -> int:
    """Check and write one part; with failed rows, as a part of an incomplete result."""
    label = f"score: {shard.operator.name}"
    store = Store(shard.home)
    table, errors = split_errors(scored)
    names = score_columns(shard.rename, [n for n in table.column_names if n != ROW_ID])
    table = table.rename_columns([names.get(n, n) for n in table.column_names])
    table = conform(filled(table, shard.writes) if scored.failures else table, shard.writes, label)
    check_score(table, batch[ROW_ID], label)
    target = incomplete(shard.fingerprint) if scored.failures else shard.fingerprint
    if errors:
        store.write_part(target, shard.part, errors_table(errors), "errors")
    store.write_part(target, shard.part, table)
    return int(table.num_rows)


def _result(job: Job, failed: list[str]) -> Result:
    first = job.fingerprint if job.store.has_part(job.fingerprint, 0) else incomplete(job.fingerprint)
    return Result(list(job.source.part_rows), job.store.read_part(first, 0).schema, failed)
