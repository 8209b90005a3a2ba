"""SQL tables and unions: whole results, cut into parts of the store's size, every row with an id of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import SetwrightError
from engine.plan.sql import keeps_order
from engine.relation import Reader
from engine.schema import ID_FIELDS, PARENT_ID, ROW_ID, digest, empty_table
from engine.sourcing.ids import RowIds
from engine.store import PART_ROWS
from engine.work.job import Job, Result
from engine.work.rounds import sealed


def run_sql(job: Job) -> Result:
    """Run a table's query over the tables that it names; called on a worker thread.

    A result whose order SQL leaves open is put in the order of its ids, so that it is the same on every machine. One
    thread runs the query: with several, the order of equal keys and the last digits of sums differ from run to run.
    """
    query = job.planned.step.text
    assert query is not None
    con = sealed(job, threads=1)
    try:
        batches = con.sql(query).to_arrow_reader(PART_ROWS)
        tables = _with_ids(batches, job.planned.name)
        if not keeps_order(query):
            tables = iter([pa.concat_tables(tables).sort_by(ROW_ID)])
        return write_rows(job, tables)
    finally:
        con.close()


def run_union(job: Job) -> Result:
    """The rows of several tables one after another; where ids collide, the later one takes its table's position in."""
    columns = list(job.planned.columns.writes)
    tables, seen = [], pa.array([], pa.string())
    for position, source in enumerate(job.planned.step.sources):
        reader = Reader(job.store, job.relations[source])
        present = reader.schema().names
        table = reader.table([ROW_ID, PARENT_ID, *(c for c in columns if c in present)])
        ids = table[ROW_ID].combine_chunks()
        if pc.any(pc.is_in(ids, value_set=seen)).as_py():
            again = zip(ids.to_pylist(), pc.is_in(ids, value_set=seen).to_pylist(), strict=True)
            ids = pa.array([digest("union", row, str(position)) if twice else row for row, twice in again])
            table = table.set_column(0, ID_FIELDS[0], ids)
        seen = pa.concat_arrays([seen, *pa.chunked_array([ids]).chunks])
        tables.append(table)
    return write_rows(job, [pa.concat_tables(tables, promote_options="permissive")])


def write_rows(job: Job, tables: Iterable[pa.Table]) -> Result:
    """Cut tables of one schema (at least one) into parts, and write them on all cores while the next ones come."""

    def write(index: int, part: pa.Table) -> int:
        job.store.write_part(job.fingerprint, index, part)
        return int(part.num_rows)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        writing = []
        for index, part in enumerate(_cut(tables)):
            schema = part.schema
            writing.append(pool.submit(write, index, part))
        rows = [done.result() for done in writing]
    job.progress.done = sum(rows)
    return Result(rows, schema)


def _cut(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Parts of the store's size, the last one of what is left: an empty part where there are no rows."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(each.num_rows for each in waiting) > PART_ROWS:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, PART_ROWS)
            waiting = [joined.slice(PART_ROWS)]
    yield pa.concat_tables(waiting)


def _with_ids(batches: pa.RecordBatchReader, name: str) -> Iterator[pa.Table]:
    """Row ids that the query selected, else ids from the rows' content; parents where the query selected them.

    The first table is empty, so that a query without rows has columns too.

    Raises:
        SetwrightError: the query selected a row_id that is not unique (known after the last table), or null.
    """
    schema = batches.schema
    columns = [c for c in schema.names if c not in (ROW_ID, PARENT_ID)]
    fields = pa.schema([*ID_FIELDS, *(schema.field(c) for c in columns)])
    selected: list[pa.ChunkedArray] = []
    content = None if ROW_ID in schema.names else RowIds(columns, schema)
    for table in itertools.chain([empty_table(schema)], (pa.Table.from_batches([batch]) for batch in batches)):
        if content is None:
            ids = table[ROW_ID]
            selected.append(ids)
            _refuse_unless(ids.null_count == 0, name)
        else:
            ids, _ = content.give(table.select(columns))
        parents = table[PARENT_ID] if PARENT_ID in schema.names else pa.nulls(table.num_rows, pa.string())
        yield pa.table([ids, parents, *(table[c] for c in columns)], names=fields.names).cast(fields)
    if selected:
        ids = pa.chunked_array([chunk for ids in selected for chunk in ids.chunks], schema.field(ROW_ID).type)
        _refuse_unless(pc.count_distinct(ids).as_py() == len(ids), name)


def _refuse_unless(unique: bool, name: str) -> None:
    if not unique:
        raise SetwrightError(
            f"{name}: the query's row_id is not unique",
            cure="select each row once (DISTINCT, GROUP BY), or leave row_id out and let the engine give ids",
        )
