"""SQL tables and unions: whole results, cut into parts of the store's size, every row with an id of its own."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import SetwrightError
from engine.plan.sql import keeps_order
from engine.relation import Reader, view_sql
from engine.sandbox import sandbox, seal
from engine.schema import ID_FIELDS, PARENT_ID, ROW_ID, digest
from engine.sourcing.ids import RowIds
from engine.store import PART_ROWS
from engine.work.job import Job, Result


def run_sql(job: Job) -> Result:
    """Run a table's query over the tables that it names; called on a worker thread.

    A result whose order SQL leaves open is put in the order of its ids, so that it is the same on every machine. One
    thread runs the query: with several, the order of equal keys and the last digits of sums differ from run to run.
    """
    query = job.planned.step.text
    assert query is not None
    con = sandbox(job.store.home, threads=1)
    try:
        for name, relation in job.relations.items():
            con.execute(f'CREATE VIEW "{name}" AS {view_sql(job.store, relation)}')
        seal(con)
        table = con.sql(query).to_arrow_table()
    finally:
        con.close()
    table = _with_ids(table, job.planned.name)
    if not keeps_order(query):
        table = table.sort_by(ROW_ID)
    return write_rows(job, table)


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
    return write_rows(job, pa.concat_tables(tables, promote_options="permissive"))


def write_rows(job: Job, table: pa.Table) -> Result:
    """Cut a whole table into parts and write them on all cores; an empty table has one empty part."""
    parts = [table.slice(start, PART_ROWS) for start in range(0, max(table.num_rows, 1), PART_ROWS)]

    def write(index: int) -> int:
        job.store.write_part(job.fingerprint, index, parts[index])
        return int(parts[index].num_rows)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(write, range(len(parts))))
    job.progress.done = table.num_rows
    return Result(rows, table.schema)


def _with_ids(table: pa.Table, name: str) -> pa.Table:
    """Row ids that the query selected, else ids from the rows' content; parents where the query selected them."""
    columns = [c for c in table.column_names if c not in (ROW_ID, PARENT_ID)]
    if ROW_ID in table.column_names:
        ids = table[ROW_ID]
        if ids.null_count or pc.count_distinct(ids).as_py() != table.num_rows:
            raise SetwrightError(
                f"{name}: the query's row_id is not unique",
                cure="select each row once (DISTINCT, GROUP BY), or leave row_id out and let the engine give ids",
            )
    else:
        give = RowIds(columns, table.schema).give
        given = [give(pa.Table.from_batches([batch]))[0] for batch in table.select(columns).to_batches()]
        ids = pa.chunked_array(given, pa.string())
    parents = table[PARENT_ID] if PARENT_ID in table.column_names else pa.nulls(table.num_rows, pa.string())
    rows = {ROW_ID: ids, PARENT_ID: parents} | {c: table[c] for c in columns}
    return pa.table(rows).cast(pa.schema([*ID_FIELDS, *(table.schema.field(c) for c in columns)]))
