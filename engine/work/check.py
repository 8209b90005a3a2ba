"""Data tests: each is a query that must return no row; what failed is kept with examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import duckdb
import pyarrow as pa

from engine.names import bare
from engine.relation import view_sql
from engine.sandbox import sandbox, seal
from engine.schema import ID_FIELDS
from engine.spec.data_tests import AcceptedValues, NotNull, Range, Rows, Sql, Unique
from engine.spec.nodes import DataTest
from engine.work.job import Job, Result

RESULTS = pa.schema(
    [*ID_FIELDS, ("test", pa.string()), ("severity", pa.string()), ("passed", pa.bool_()), ("failures", pa.int64()),
     ("detail", pa.string())]
)  # fmt: skip
EXAMPLES = 5


def run_tests(job: Job) -> Result:
    """Run all tests of a table; called on a worker thread. `facts["failed_tests"]` counts those of severity error."""
    con = sandbox(job.store.home)
    try:
        for name, relation in job.relations.items():
            con.execute(f'CREATE VIEW "{bare(name)}" AS {view_sql(job.store, relation)}')
        seal(con)
        rows = [_outcome(con, bare(job.planned.step.table), test) for test in job.planned.step.tests]
    finally:
        con.close()
    table = pa.Table.from_pylist(rows, schema=RESULTS)
    job.store.write_part(job.fingerprint, 0, table)
    broken = [r["test"] for r in rows if not r["passed"] and r["severity"] == "error"]
    warned = [r["test"] for r in rows if not r["passed"] and r["severity"] == "warn"]
    facts = {"failed_tests": broken, "warned_tests": warned, "passed_tests": len(rows) - len(broken) - len(warned)}
    return Result([len(rows)], RESULTS, facts=facts)


def _outcome(con: duckdb.DuckDBPyConnection, table: str, test: DataTest) -> dict[str, object]:
    failures, details = 0, []
    for query, describe in _queries(table, test):
        found = con.sql(f"SELECT count(*) FROM ({query})").fetchall()[0][0]
        if found:
            failures += found
            details.append(describe(con.sql(f"SELECT * FROM ({query}) LIMIT {EXAMPLES}").fetchall()))
    return {
        "row_id": test.label, "parent_id": None, "test": test.label, "severity": test.severity,
        "passed": not failures, "failures": failures, "detail": "; ".join(details),
    }  # fmt: skip


Describe = Callable[[list[tuple[object, ...]]], str]


def _queries(table: str, test: DataTest) -> Iterator[tuple[str, Describe]]:
    """Queries whose rows are failures, each with what to say of its first rows."""
    args = test.args
    match args:
        case Rows():
            query = f'SELECT n FROM (SELECT count(*) AS n FROM "{table}") WHERE {_outside("n", args.min, args.max)}'
            yield query, lambda r: f"{r[0][0]} rows"
        case Unique():
            columns = ", ".join(f'"{c}"' for c in args.columns)
            query = (
                f'SELECT {columns}, count(*) AS n FROM "{table}" GROUP BY ALL HAVING count(*) > 1 ORDER BY n DESC, 1'
            )
            yield query, lambda r: "repeated: " + ", ".join(f"{_short(row[0])} ({row[-1]} times)" for row in r)
        case NotNull():
            for column in args.columns:
                yield f'SELECT row_id FROM "{table}" WHERE "{column}" IS NULL', _rows_of(f"{column} is null in")
        case AcceptedValues():
            values = ", ".join(_literal(v) for v in args.values)
            query = f'SELECT DISTINCT "{args.column}" FROM "{table}" WHERE "{args.column}" NOT IN ({values}) ORDER BY 1'
            yield query, lambda r: "not accepted: " + ", ".join(_short(row[0]) for row in r)
        case Range():
            outside = _outside(f'"{args.column}"', args.min, args.max)
            yield f'SELECT row_id FROM "{table}" WHERE {outside}', _rows_of(f"{args.column} is out of range in")
        case Sql():
            yield args.query, lambda r: "rows: " + "; ".join(_short(row) for row in r)


def _outside(value: str, low: float | None, high: float | None) -> str:
    """The condition of lying outside of the bounds; at least one is given."""
    bounds = [f"{value} < {low}"] if low is not None else []
    return " OR ".join([*bounds, *([f"{value} > {high}"] if high is not None else [])])


def _rows_of(what: str) -> Describe:
    return lambda rows: f"{what} " + ", ".join(str(row[0]) for row in rows)


def _literal(value: object) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _short(value: object, width: int = 80) -> str:
    text = str(value)
    return text if len(text) <= width else text[: width - 3] + "..."
