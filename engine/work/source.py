"""Sources: records read, shaped and given ids by `sourcing`, written part by part; bad records beside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine import sourcing
from engine.laws import check_source
from engine.sourcing.ahead import ahead
from engine.work.job import Job, Result


def read_source(job: Job, base: Path, limit: int | None, part_rows: int) -> Result:
    """Read a source table; called on a worker thread.

    Raises:
        BadRecordsError: with `on_bad: error`, after all of the source was read; nothing of it counts as built.
    """
    step = job.planned.step
    assert isinstance(step.params, sourcing.SourceParams)
    assert step.text is not None
    source = sourcing.resolve(step.text, base)
    if limit is None:
        try:
            return _write(job, sourcing.read_once(source, step.params, part_rows=part_rows))
        except sourcing.Widened:
            job.store.remove(job.fingerprint)
            job.progress.done = 0
    return _write(job, sourcing.read(source, step.params, limit=limit, part_rows=part_rows))


def _write(job: Job, given: Iterable[sourcing.SourcePart]) -> Result:
    step = job.planned.step
    parts, rejected, schema = [], 0, None
    for index, part in enumerate(ahead(given)):
        job.stop.check(job.planned.name)
        check_source(part.table, step.label)
        if part.rejects.num_rows:
            job.store.write_part(job.fingerprint, index, part.rejects, "rejects")
            rejected += part.rejects.num_rows
        job.store.write_part(job.fingerprint, index, part.table)
        parts.append(part.table.num_rows)
        schema = part.table.schema
        job.progress.done += part.table.num_rows
    assert schema is not None, "a source gives at least one part, which may be empty"
    return Result(parts, schema, facts={"rejects": rejected})
