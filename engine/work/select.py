"""Selectors: the whole table to one verdict for each row, written in the cut of the table it selects from."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from engine.laws import check_select
from engine.schema import ROW_ID, VERDICT
from engine.work.job import Job, Result
from engine.work.whole import TableRows, whole_context


def select(job: Job) -> Result:
    """Run a selector; a plain function, called on a worker thread."""
    rows = TableRows(job)
    given = rows if job.operator.by_table else rows.whole(*rows.columns)
    with whole_context(job) as context:
        verdict = job.operator.fn(given, job.planned.step.params, context)
    ids = rows.whole()[ROW_ID] if isinstance(given, TableRows) else given[ROW_ID]
    verdict = check_select(verdict, ids, f"select: {job.operator.name}")
    job.progress.done = rows.num_rows
    return _write(job, verdict, job.source.part_rows)


def _write(job: Job, verdict: pa.Table, cut: tuple[int, ...]) -> Result:
    selected, start = [], 0
    for index, rows in enumerate(cut):
        part = verdict.slice(start, rows)
        job.store.write_part(job.fingerprint, index, part)
        selected.append(pc.sum(part["selected"]).as_py() or 0)
        start += rows
    facts = {"selected_parts": selected, "selected": sum(selected)}
    return Result(list(cut), VERDICT, facts=facts)
