"""The catalog: DuckDB views over the store's Parquet, the ledger's mirror and the records of builds.

    <spec>.<table>     every table of a spec, wide: its columns and those of its scores
    <spec>."kept@2"    a table of a round; "kept@last" the last one's, and kept all of them with a column `round`
    <spec>.drops       rows that a selector dropped, why, and the row that displaced them
    <spec>.rejects     records that a source could not read
    <spec>.errors      rows that an operator could not do
    <spec>.lineage     every row and its parent; <spec>.row_calls: the model calls behind a row
    <spec>.judgements  every verdict of every `score: judge`, whatever `as` its columns have in the table
    <spec>.tests       the outcome of every data test
    <spec>.train_metrics, <spec>.train_steps       every row in every epoch, and every step, of every training
    calls, builds      every model call; every step of every build

`catalog.duckdb` holds views only, opens in any DuckDB client, and is made anew beside the old one, so that readers
are never in the way of a build. What the views mean is decided by the refs alone; no spec is needed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine import __version__
from engine.errors import StoreError
from engine.ledger import Ledger
from engine.names import all_rounds, in_rounds, last_of
from engine.relation import Relation, quote, view_sql
from engine.sandbox import sandbox, seal
from engine.schema import digest
from engine.store import Store, write_atomically

if TYPE_CHECKING:
    import duckdb

log = logging.getLogger(__name__)

EMPTY = {
    "drops": "table_name VARCHAR, row_id VARCHAR, drop_reason VARCHAR, nn_id VARCHAR, nn_sim FLOAT",
    "rejects": "table_name VARCHAR, file VARCHAR, record BIGINT, field VARCHAR, reason VARCHAR, text VARCHAR",
    "errors": "table_name VARCHAR, step VARCHAR, row_id VARCHAR, error VARCHAR, transient BOOLEAN",
    "lineage": "table_name VARCHAR, row_id VARCHAR, parent_id VARCHAR, parent_table VARCHAR",
    "row_calls": "table_name VARCHAR, step VARCHAR, row_id VARCHAR, call_id VARCHAR",
    "judgements": "table_name VARCHAR, step VARCHAR, row_id VARCHAR, judge_verdict VARCHAR, judge_first_order VARCHAR, "
    "judge_second_order VARCHAR, judge_flipped BOOLEAN, judge_longer VARCHAR, judge_label VARCHAR, "
    "judge_reason VARCHAR, judge_model VARCHAR, judge_protocol VARCHAR",
    "tests": "table_name VARCHAR, test VARCHAR, severity VARCHAR, passed BOOLEAN, failures BIGINT, detail VARCHAR",
    "train_metrics": "model VARCHAR, row_id VARCHAR, epoch INTEGER, step INTEGER, n_tokens INTEGER, loss FLOAT",
    "train_steps": "model VARCHAR, step BIGINT, epoch DOUBLE, loss DOUBLE, lr DOUBLE, grad_norm DOUBLE, tokens BIGINT, "
    "target_tokens BIGINT, accuracy DOUBLE, seconds DOUBLE, tokens_per_s DOUBLE, mfu DOUBLE, peak_memory BIGINT",
}
"""The columns of a spec's own views, also where nothing is in them."""


def refresh(store: Store, ledger: Ledger | None) -> Path:
    """Bring the mirror and the views up to date; returns the catalog's path."""
    folder = store.home / "catalog"
    if ledger is not None:
        ledger.mirror(folder / "calls")
    path = store.home / "catalog.duckdb"
    key = _key(store)
    known = folder / "views.key"
    if not (path.exists() and known.exists() and known.read_text() == key):
        _write(store, path)
        with store.guard("write", known):
            write_atomically(known, key.encode())
    return path


def connect(store: Store, ledger: Ledger | None, spec: str | None) -> duckdb.DuckDBPyConnection:
    """A sealed, read-only connection to a fresh catalog, in which a spec's tables need no prefix.

    Without a spec it is the one that was built last. Where the home can't be written (a full disk), the catalog is
    that of the last build.
    """
    path = store.home / "catalog.duckdb"
    try:
        refresh(store, ledger)
    except StoreError as e:
        if not path.exists():
            raise
        log.warning("the catalog is that of the last build: %s", e.message)
    con = sandbox(store.home, path)
    chosen = spec or _last_built(store)
    if chosen is not None:
        con.execute(f"SET search_path = '{chosen},main'")
    seal(con)
    return con


def _last_built(store: Store) -> str | None:
    times = {
        name: max((p.stat().st_mtime for p in (store.refs / name).iterdir()), default=0) for name in store.spec_names()
    }
    return max(times, key=lambda name: times[name], default=None)


def _key(store: Store) -> str:
    """Changes whenever a ref does."""
    refs = sorted(store.refs.glob("*/*.json"))
    return digest(__version__, str(store.home.resolve()), *(p.name.encode() + b"\0" + p.read_bytes() for p in refs))


def _write(store: Store, path: Path) -> None:
    import duckdb

    temporary = path.with_name(f"catalog.{os.getpid()}.tmp")
    for left in (temporary, temporary.with_name(f"{temporary.name}.wal")):  # by a killed process of the same number
        left.unlink(missing_ok=True)
    with store.guard("write", path):
        try:
            with duckdb.connect(str(temporary)) as con:
                _create_views(con, store)
                con.execute("CHECKPOINT")  # a close that can't write says nothing
        except (duckdb.IOException, duckdb.FatalException) as e:
            raise OSError(str(e)) from e
        temporary.rename(path)


def _create_views(con: duckdb.DuckDBPyConnection, store: Store) -> None:
    for name, query in _global_views(store):
        con.execute(f"CREATE VIEW {name} AS {query}")
    for spec in store.spec_names():
        con.execute(f'CREATE SCHEMA "{spec}"')
        for name, query in _spec_views(store, spec):
            con.execute(f'CREATE VIEW "{spec}"."{name}" AS {query}')


def _global_views(store: Store) -> Iterator[tuple[str, str]]:
    for name in ("calls", "builds"):
        files = quote(str((store.home / "catalog" / name).resolve() / "*.parquet"))
        yield name, f"SELECT * FROM read_parquet({files}, union_by_name = true)"


def _spec_views(store: Store, spec: str) -> Iterator[tuple[str, str]]:
    """A view for each table, then the spec's own."""
    refs = {name: store.ref(spec, name) or {} for name in store.ref_names(spec)}
    relations = {name: Relation.from_json(ref["relation"]) for name, ref in refs.items()}
    tables = {
        name: view_sql(store, relation)
        for name, relation in relations.items()
        if "." not in name and refs[name]["verb"] != "train"
    }
    yield from (tables | _views_of_rounds(tables)).items()
    rows: dict[str, list[str]] = {name: [] for name in EMPTY}
    for name, relation in relations.items():
        for view, query in _contributions(store, name, refs[name], relation):
            rows[view].append(query)
    for view, columns in EMPTY.items():
        nothing = ", ".join(f"NULL::{t} AS {c}" for c, t in (column.split(" ") for column in columns.split(", ")))
        yield view, " UNION ALL BY NAME ".join([f"SELECT {nothing} WHERE false", *rows[view]])


def _views_of_rounds(tables: Mapping[str, str]) -> dict[str, str]:
    """For what repeats: the last round, and all rounds as one table."""
    views = {}
    for name, rounds in in_rounds(tables).items():
        views[name] = all_rounds((number, tables[node]) for number, node in rounds.items())
        views[f"{name}@last"] = tables[last_of(f"{name}@last", tables)]
    return views


def _contributions(store: Store, name: str, ref: dict[str, object], relation: Relation) -> Iterator[tuple[str, str]]:
    """What one step adds to its spec's views."""
    table = quote(name.partition(".")[0])
    verb = ref["verb"]
    rows = _files(store, relation.fingerprint, "part")
    if verb == "select":
        yield (
            "drops",
            f"SELECT {table} AS table_name, row_id, drop_reason, nn_id, nn_sim FROM {rows} WHERE NOT selected",
        )
    elif verb == "score":
        yield from _judgements(store, relation, f"SELECT {table} AS table_name, {quote(name)} AS step, row_id")
    elif verb == "test":
        columns = "test, severity, passed, failures, detail"
        yield "tests", f"SELECT {table} AS table_name, {columns} FROM {rows}"
    elif verb == "train":
        yield "train_metrics", f"SELECT {table} AS model, * FROM {rows}"
        yield "train_steps", f"SELECT {table} AS model, * FROM {_files(store, relation.fingerprint, 'steps')}"
    elif verb in ("source", "generate", "sql", "union"):
        parent = f"if(parent_id IS NULL, NULL, {quote(str(ref['from']))})" if verb == "generate" else "NULL"
        yield "lineage", f"SELECT {table} AS table_name, row_id, parent_id, {parent} AS parent_table FROM {rows}"
    for side, view in (("rejects", "rejects"), ("errors", "errors"), ("calls", "row_calls")):
        if store.side_files(relation.fingerprint, side):
            step = "" if view == "rejects" else f", {quote(name)} AS step"
            yield view, f"SELECT {table} AS table_name{step}, * FROM {_files(store, relation.fingerprint, side)}"


def _judgements(store: Store, relation: Relation, begin: str) -> Iterator[tuple[str, str]]:
    """What a score adds to the verdicts, if it is a judge's; the columns lose what `as` put before their names."""
    manifest = store.manifest(relation.fingerprint)
    if manifest is None or manifest.payload["operator"] != "score/judge":
        return
    given = f"{manifest.payload['as']}_" if "as" in manifest.payload else ""
    names = [column.split(" ")[0] for column in EMPTY["judgements"].split(", ") if column.startswith("judge_")]
    columns = ", ".join(f'"{given}{name}" AS {name}' for name in names)
    yield "judgements", f"{begin}, {columns} FROM {_files(store, relation.fingerprint, 'part')}"


def _files(store: Store, fingerprint: str, side: str) -> str:
    paths = ", ".join(quote(str(p.resolve())) for p in store.side_files(fingerprint, side))
    return f"read_parquet([{paths}])"
