"""Selectors: the whole table to one verdict for each row, written in the cut of the table it selects from."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from engine.context import StepContext
from engine.laws import check_select
from engine.relation import inputs, renamed
from engine.schema import ROW_ID, VERDICT
from engine.work.job import Job, Result


def select(job: Job) -> Result:
    """Run a selector; a plain function, called on a worker thread."""
    columns = job.planned.columns
    reader = job.source
    table = reader.table(list(dict.fromkeys([*inputs(columns.reads), *columns.owners])))
    batch = renamed(table, columns.reads)
    for name, expression in columns.expressions.items():
        batch = batch.append_column(name, _evaluate(expression, table))
    verdict = job.operator.fn(batch, job.planned.step.params, StepContext(job.seed, sides=job.sides))
    verdict = check_select(verdict, table[ROW_ID], f"select: {job.operator.name}")
    job.progress.done = table.num_rows
    return _write(job, verdict, reader.part_rows)


def _evaluate(expression: str, table: pa.Table) -> pa.ChunkedArray:
    """A SQL expression over a table's columns, row by row in the table's order."""
    con = duckdb.connect(":memory:", config={"enable_external_access": "false"})
    con.register("given", table)
    try:
        return con.sql(f"SELECT ({expression}) AS value FROM given").to_arrow_table()["value"]
    finally:
        con.close()


def _write(job: Job, verdict: pa.Table, cut: tuple[int, ...]) -> Result:
    selected, start = [], 0
    for index, rows in enumerate(cut):
        part = verdict.slice(start, rows)
        job.store.write_part(job.fingerprint, index, part)
        selected.append(pc.sum(part["selected"]).as_py() or 0)
        start += rows
    facts = {"selected_parts": selected, "selected": sum(selected)}
    return Result(list(cut), VERDICT, facts=facts)
