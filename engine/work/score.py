"""Scorers in batch form: part by part on the runner's workers, or awaited where they talk to a model."""

from __future__ import annotations

import asyncio

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
    shards = [job.shard(part) for part in range(job.source.n_parts)]
    todo = [s for s in shards if not job.store.has_part(s.fingerprint, s.part)]
    async for rows in runner.map(score_shard, todo):
        job.progress.done += rows
    job.stop.check(job)
    return _result(job)


def score_shard(shard: Shard) -> int:
    """Do one part and write it; returns its rows."""
    batch = shard.batch()
    scored = shard.operator.fn(batch, shard.params, StepContext(shard.seed))
    return _write(shard, batch, scored)


async def score_awaited(job: Job) -> Result:
    """An `async def` over batches: a few parts in flight, each awaited as a whole."""
    limit = asyncio.Semaphore(PARTS_AWAITED)
    bind = binder(job)
    failures: dict[int, ModelError] = {}

    async def one(part: int) -> None:
        async with limit:
            if job.stop.requested or job.store.has_part(job.fingerprint, part):
                return
            shard = job.shard(part)
            batch = await asyncio.to_thread(shard.batch)
            try:
                scored = await shard.operator.fn(batch, shard.params, bind(None))
            except ModelError as e:
                failures[part] = e
                return
            job.progress.done += await asyncio.to_thread(_write, shard, batch, scored)

    async with asyncio.TaskGroup() as group:
        for part in range(job.source.n_parts):
            group.create_task(one(part))
    job.stop.check(job)
    return _with_failures(job, failures)


def _with_failures(job: Job, failures: dict[int, ModelError]) -> Result:
    """Where a part's call failed, all of its rows are null for now, under the identity of an incomplete result."""
    failed: list[str] = []
    for part, error in sorted(failures.items()):
        ids = job.shard(part).batch()[ROW_ID]
        rows = ids.to_pylist()
        nulls = {name: pa.nulls(len(rows), t) for name, t in job.planned.columns.writes.items()}
        draft = incomplete(job.fingerprint)
        job.store.write_part(draft, part, errors_table(dict.fromkeys(rows, (error.message, True))), "errors")
        job.store.write_part(draft, part, pa.table({ROW_ID: ids, **nulls}))
        failed += rows
    return _result(job, failed)


def _write(shard: Shard, batch: pa.Table, scored: pa.Table) -> int:
    label = f"score: {shard.operator.name}"
    store = Store(shard.home)
    if ERROR in scored.column_names:
        wrong = pc.is_valid(scored[ERROR])
        reasons = zip(scored[ROW_ID].filter(wrong).to_pylist(), scored[ERROR].filter(wrong).to_pylist(), strict=True)
        errors = errors_table({row: (reason, False) for row, reason in reasons})
        if errors.num_rows:
            store.write_part(shard.fingerprint, shard.part, errors, "errors")
        scored = scored.drop_columns([ERROR])
    names = score_columns(shard.rename, [n for n in scored.column_names if n != ROW_ID])
    scored = scored.rename_columns([names.get(n, n) for n in scored.column_names])
    scored = conform(scored, shard.writes, label)
    check_score(scored, batch[ROW_ID], label)
    store.write_part(shard.fingerprint, shard.part, scored)
    return int(scored.num_rows)


def _result(job: Job, failed: list[str] | None = None) -> Result:
    first = job.fingerprint if job.store.has_part(job.fingerprint, 0) else incomplete(job.fingerprint)
    return Result(list(job.source.part_rows), job.store.read_part(first, 0).schema, failed or [])
