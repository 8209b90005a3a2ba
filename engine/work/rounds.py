"""Rounds at work: the tables that a query reads, those of all rounds as one, and the question whether more follow."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from engine.errors import SetwrightError
from engine.names import all_rounds
from engine.relation import view_sql
from engine.sandbox import sandbox, seal
from engine.schema import ID_FIELDS
from engine.work.job import Job, Result

ANSWER = pa.schema([*ID_FIELDS, ("stop", pa.bool_())])


def sealed(job: Job, threads: int) -> duckdb.DuckDBPyConnection:
    """A connection that sees what the step's query reads, by the names that it has for it, and nothing else."""
    con = sandbox(job.store.home, threads=threads)
    views = {node: view_sql(job.store, relation) for node, relation in job.relations.items()}
    for name, nodes in job.planned.step.names.items():
        rounds = [views[node] for node in nodes] if isinstance(nodes, tuple) else []
        query = views[nodes] if isinstance(nodes, str) else all_rounds(enumerate(rounds, start=1))
        con.execute(f'CREATE VIEW "{name}" AS {query}')
    seal(con)
    return con


def ask_stop_rule(job: Job) -> Result:
    """Ask the stop rule after a round; called on a worker thread. `facts["stop"]` is its answer.

    Raises:
        SetwrightError: it gives no row or several, or null.
    """
    step = job.planned.step
    assert step.text is not None
    con = sealed(job, threads=1)
    try:
        rows = con.execute(step.text).fetchmany(2)
    finally:
        con.close()
    if len(rows) != 1 or rows[0][0] is None:
        found = "null" if len(rows) == 1 else "several rows" if rows else "no row"
        raise SetwrightError(
            f"rounds.until gave {found} after round {step.round}, and not true or false",
            cure="write a query of one row that is never null, as in SELECT coalesce(avg(score) > 4, false) FROM kept",
        )
    table = pa.Table.from_pylist([{"row_id": step.name, "stop": rows[0][0]}], schema=ANSWER)
    job.store.write_part(job.fingerprint, 0, table)
    return Result([1], ANSWER, facts={"stop": rows[0][0]})
