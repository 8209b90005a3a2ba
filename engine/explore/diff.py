"""Two versions of a table compared, as data: its rows, its columns, and how numbers and lengths of texts moved.

The comparison runs in DuckDB over the store's objects. How it is shown is the command line's business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import StoreError
from engine.relation import Reader, Relation, quote, view_sql
from engine.sandbox import sandbox
from engine.schema import PARENT_ID, ROW_ID, is_messages, is_number, is_text
from engine.store import Store

if TYPE_CHECKING:
    import duckdb

EXAMPLES = 5
"""Row ids given for each kind of difference."""

IDS = (ROW_ID, PARENT_ID, "nn_id")
"""Text columns whose length says nothing."""

PAIRS = "a FULL JOIN b ON a.row_id = b.row_id"


@dataclass(frozen=True)
class Version:
    """A table as one build left it."""

    build: str
    relation: Relation


@dataclass(frozen=True)
class Summary:
    """The finite values of a column: how many, mean, sample standard deviation, and interpolated percentiles."""

    n: int
    mean: float | None
    sd: float | None
    p5: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True)
class Drift:
    """A column before and after; the unit is `characters` where lengths of texts are compared, else empty."""

    column: str
    unit: str
    before: Summary
    after: Summary


@dataclass(frozen=True)
class Change:
    """Rows that differ in one way: how many, and the first of their ids."""

    rows: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Diff:
    """What differs from a to b. A changed row is in both, with another value in a column that both have."""

    rows_before: int
    rows_after: int
    added: Change
    removed: Change
    changed: Change
    changed_columns: Mapping[str, int]  # in how many rows the value differs
    new_columns: tuple[str, ...]
    gone_columns: tuple[str, ...]
    retyped_columns: Mapping[str, tuple[str, str]]  # Arrow types before and after; values are not compared
    drifts: tuple[Drift, ...]


def versions(store: Store, spec: str, table: str) -> list[Version]:
    """The table as each recorded build of the spec left it, oldest first; builds that don't know it are left out."""
    folder = store.home / "catalog" / "builds"
    if not any(folder.glob("*.parquet")):
        return []
    con = sandbox(store.home)
    try:
        found = con.execute(
            f"SELECT build, relation FROM read_parquet({quote(str(folder.resolve() / '*.parquet'))}) "
            "WHERE spec = ? AND step = ? AND relation IS NOT NULL ORDER BY build",
            [spec, table],
        ).fetchall()
    finally:
        con.close()
    return [Version(build, Relation.from_json(json.loads(relation))) for build, relation in found]


def diff(store: Store, a: Relation, b: Relation) -> Diff:
    """Compare two versions of a table.

    Raises:
        StoreError: an object of one of them is no longer in the store.
    """
    for relation in (a, b):
        gone = [f for f in relation.fingerprints() if store.manifest(f) is None]
        if gone:
            raise StoreError(
                f"{store.home} no longer holds {', '.join(gone)}, which one of the two builds made",
                cure="compare later builds; `setwright clean --keep-builds N` says how many stay comparable",
            )
    before, after = Reader(store, a).schema(), Reader(store, b).schema()
    made, made_anew = _makers(store, a), _makers(store, b)
    differing = [name for name in before.names if name in after.names and made[name] != made_anew[name]]
    con = sandbox(store.home)
    try:
        con.execute(f"CREATE VIEW a AS {view_sql(store, a)}")
        con.execute(f"CREATE VIEW b AS {view_sql(store, b)}")
        return _compare(con, before, after, differing)
    finally:
        con.close()


def _makers(store: Store, relation: Relation) -> dict[str, str]:
    """The object that holds each column: where two versions share it, no value of the column differs."""
    makers = {} if relation.parent is None else _makers(store, relation.parent)
    for fingerprint in (relation.fingerprint, *(f for _, f in relation.scores)):
        makers |= dict.fromkeys(pq.read_schema(store.part_path(fingerprint, 0)).names, fingerprint)
    return makers


def _compare(con: duckdb.DuckDBPyConnection, before: pa.Schema, after: pa.Schema, differing: Sequence[str]) -> Diff:
    """Compare the views a and b; `differing` are the columns whose values may differ."""
    types = {name: (before.field(name).type, after.field(name).type) for name in before.names if name in after.names}
    alike = [name for name in differing if name != ROW_ID and types[name][0] == types[name][1]]
    differs = {name: f"a.{_name(name)} IS DISTINCT FROM b.{_name(name)}" for name in alike}
    counts = _changed_rows(con, differs)
    both = "a.row_id IS NOT NULL AND b.row_id IS NOT NULL"
    return Diff(
        rows_before=_count(con, "a"),
        rows_after=_count(con, "b"),
        added=_change(con, "a.row_id IS NULL"),
        removed=_change(con, "b.row_id IS NULL"),
        changed=_change(con, f"{both} AND ({' OR '.join(differs.values()) or 'false'})"),
        changed_columns={name: n for name, n in counts.items() if n},
        new_columns=tuple(name for name in after.names if name not in types),
        gone_columns=tuple(name for name in before.names if name not in types),
        retyped_columns={name: (str(old), str(new)) for name, (old, new) in types.items() if old != new},
        drifts=_drifts(con, before, after),
    )


def _count(con: duckdb.DuckDBPyConnection, side: str) -> int:
    return int(con.sql(f"SELECT count(*) FROM {side}").fetchall()[0][0])


def _change(con: duckdb.DuckDBPyConnection, condition: str) -> Change:
    found = con.sql(f"SELECT coalesce(b.row_id, a.row_id) AS id FROM {PAIRS} WHERE {condition} ORDER BY id").fetchall()
    return Change(len(found), tuple(row for (row,) in found[:EXAMPLES]))


def _changed_rows(con: duckdb.DuckDBPyConnection, differs: Mapping[str, str]) -> dict[str, int]:
    if not differs:
        return {}
    counts = ", ".join(f"count(*) FILTER ({condition})" for condition in differs.values())
    found = con.sql(f"SELECT {counts} FROM a JOIN b ON a.row_id = b.row_id").fetchall()[0]
    return dict(zip(differs, found, strict=True))


def _drifts(con: duckdb.DuckDBPyConnection, before: pa.Schema, after: pa.Schema) -> tuple[Drift, ...]:
    """Drift of every column that is a number, a text or messages, of the same sort where both sides have it."""
    a, b = _summaries(con, "a", before), _summaries(con, "b", after)
    nothing = Summary(0, *[None] * 5)
    return tuple(Drift(*key, a.get(key, nothing), b.get(key, nothing)) for key in dict.fromkeys([*a, *b]))


def _summaries(con: duckdb.DuckDBPyConnection, side: str, schema: pa.Schema) -> dict[tuple[str, str], Summary]:
    """A summary for each (column, unit) that can be measured."""
    measures = {field.name: _measure(field) for field in schema if field.name not in IDS}
    known = {(name, unit): sql for name, (unit, sql) in measures.items() if sql}
    if not known:
        return {}
    values = ", ".join(f"CASE WHEN isfinite({sql}) THEN {sql} END AS v{i}" for i, sql in enumerate(known.values()))
    figures = ", ".join(
        f"[count(v{i}), avg(v{i}), stddev_samp(v{i})] "
        f"|| coalesce(quantile_cont(v{i}, [0.05, 0.5, 0.95]), [NULL, NULL, NULL])"
        for i in range(len(known))
    )
    found = con.sql(f"SELECT {figures} FROM (SELECT {values} FROM {side})").fetchall()[0]
    return {key: Summary(int(n), *rest) for key, (n, *rest) in zip(known, found, strict=True)}


def _measure(field: pa.Field) -> tuple[str, str]:
    """The unit, and the DOUBLE that is summarised; empty SQL for a column that has no size."""
    name = _name(field.name)
    if is_number(field.type):
        return "", f"CAST({name} AS DOUBLE)"
    if is_text(field.type):
        return "characters", f"CAST(length({name}) AS DOUBLE)"
    if is_messages(field.type):
        lengths = f"list_transform({name}, lambda message: length(message.content))"
        return "characters", f"CAST(list_sum({lengths}) AS DOUBLE)"
    return "", ""


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
