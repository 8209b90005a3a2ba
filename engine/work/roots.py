"""The rows that a generator without `from` begins with."""

from __future__ import annotations

from engine.plan.roots import root_rows
from engine.work.job import Job, Result
from engine.work.query import write_rows


def make_roots(job: Job) -> Result:
    """Write them; called on a worker thread."""
    return write_rows(job, [root_rows(job.payload)])
