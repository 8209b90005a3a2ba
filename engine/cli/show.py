"""`setwright show`: the tables of a spec, or the rows of one."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.options import Command, home_option, json_option, spec_argument
from engine.cli.sql import render
from engine.cli.text import columns, echo_json
from engine.errors import SetwrightError, did_you_mean
from engine.names import last_of


@click.command(cls=Command)
@spec_argument
@click.argument("table", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Rows printed for people.")
@click.option("--columns", "wanted", metavar="A,B", help="Only these columns.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to a .parquet, .csv or .jsonl file."
)
@home_option
@json_option
def command(
    spec: Path, table: str | None, limit: int, wanted: str | None, out: Path | None, home: Path, as_json: bool
) -> None:
    """Show the built tables of SPEC, or the first rows of TABLE with all of its scores.

    Of a trained model the rows are those that it was trained on, with their losses.
    """
    from engine.cli.spec_name import spec_name
    from engine.explore.export import write_table
    from engine.relation import Reader, Relation
    from engine.store import Store

    store, name = Store(home), spec_name(spec)
    readers = {
        ref: Reader(store, Relation.from_json((store.ref(name, ref) or {})["relation"]))
        for ref in store.ref_names(name)
        if "." not in ref
    }
    if table is None:
        rows = [(n, sum(r.part_rows), ", ".join(r.schema().names)) for n, r in readers.items()]
        click.echo(columns(("table", "rows", "columns"), rows, right=(1,)))
        return
    table = last_of(table, readers)
    if table not in readers:
        raise SetwrightError(
            f"{name} has no built table {table!r}{did_you_mean(table, readers)}", cure=f"setwright build {spec}"
        )
    reader = readers[table]
    names = wanted.split(",") if wanted else reader.schema().names
    for column in set(names) - set(reader.schema().names):
        raise SetwrightError(f"{table} has no column {column!r}{did_you_mean(column, reader.schema().names)}")
    if out is not None:
        write_table(reader.table(names), out)
        click.echo(f"{sum(reader.part_rows):,} rows written to {out}", err=True)
        return
    rows_shown = reader.table(names) if as_json else reader.head(names, limit)
    click.echo(render(rows_shown, limit)) if not as_json else echo_json(rows_shown.to_pylist())
