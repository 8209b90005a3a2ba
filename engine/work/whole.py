"""Operators that look at a whole table: what they are given of it, and the scores of those that score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from engine.context import StepContext
from engine.laws import check_score, conform
from engine.plan.views import named, score_columns
from engine.relation import Reader, inputs, renamed
from engine.schema import ROW_ID, sql_schema
from engine.work.job import Job, Result, errors_table
from engine.work.scoring import Scored, split_errors


@dataclass
class TableRows:
    """The `engine.rows.Rows` of a job: its table's columns, and the values of its operator's SQL expressions.

    An expression is evaluated once, over the columns that it names alone, and its values are held in memory: it may
    speak of the whole table (`score / max(score) OVER ()`).
    """

    job: Job
    _reader: Reader = field(init=False)
    _values: dict[str, pa.ChunkedArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._reader = self.job.source

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return sum(self._reader.part_rows)

    @property
    def columns(self) -> Sequence[str]:
        """The operator's names of the columns that are there."""
        planned = self.job.planned.columns
        return [*planned.reads, *planned.expressions]

    def whole(self, *columns: str) -> pa.Table:
        """row_id and the named columns of all rows."""
        reads, expressions = self._split(columns)
        table = renamed(self._reader.table(inputs(reads)), reads)
        for name in expressions:
            table = table.append_column(name, self._value(name))
        return table.select([ROW_ID, *columns])

    def parts(self, *columns: str) -> Iterator[pa.Table]:
        """row_id and the named columns, part by part."""
        reads, expressions = self._split(columns)
        start = 0
        for index, rows in enumerate(self._reader.part_rows):
            self.job.stop.check(self.job.planned.name)
            part = self._reader.batch(index, reads)
            for name in expressions:
                part = part.append_column(name, self._value(name).slice(start, rows))
            yield part.select([ROW_ID, *columns])
            start += rows

    def _split(self, columns: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """The table's columns under the operator's names, and the names of expressions."""
        reads = self.job.planned.columns.reads
        return {name: reads[name] for name in columns if name in reads}, [n for n in columns if n not in reads]

    def _value(self, name: str) -> pa.ChunkedArray:
        if name not in self._values:
            expression = self.job.planned.columns.expressions[name]
            table = self._reader.table([ROW_ID, *named(expression, self._reader.schema().names)])
            self._values[name] = evaluate(expression, table)
        return self._values[name]


@contextmanager
def whole_context(job: Job) -> Iterator[StepContext]:
    """The context of an operator over `rows`, with an empty folder in the home, which has room for a table."""
    folder = job.store.workplace(job.fingerprint)
    job.store.clear_workplace(job.fingerprint)
    folder.mkdir(parents=True)
    try:
        yield StepContext(job.seed, sides=job.sides, folder=folder)
    finally:
        job.store.clear_workplace(job.fingerprint)


def score_whole(job: Job) -> Result:
    """A scorer over a whole table; a plain function, called on a worker thread."""
    rows, label = TableRows(job), f"score: {job.operator.name}"
    with whole_context(job) as context:
        table, errors = split_errors(Scored(job.operator.fn(rows, job.planned.step.params, context)))
    names = score_columns(job.planned.step.rename, [n for n in table.column_names if n != ROW_ID])
    table = table.rename_columns([names.get(n, n) for n in table.column_names])
    table = conform(table, job.planned.columns.writes, label)
    check_score(table, rows.whole()[ROW_ID], label)
    start = 0
    for part, size in enumerate(job.source.part_rows):
        scores = table.slice(start, size)
        wrong = {row: errors[row] for row in scores[ROW_ID].to_pylist() if row in errors} if errors else {}
        if wrong:
            job.store.write_part(job.fingerprint, part, errors_table(wrong), "errors")
        job.store.write_part(job.fingerprint, part, scores)
        start += size
    job.progress.done = start
    return Result(list(job.source.part_rows), table.schema)


def evaluate(expression: str, table: pa.Table) -> pa.ChunkedArray:
    """A SQL expression over a table's columns, row by row in the table's order."""
    con = duckdb.connect(":memory:", config={"enable_external_access": "false"})
    con.register("given", table.cast(sql_schema(table.schema)))
    try:
        return con.sql(f"SELECT ({expression}) AS value FROM given").to_arrow_table()["value"]
    finally:
        con.close()
