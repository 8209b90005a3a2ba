"""`setwright sql`: DuckDB over every row, score, drop and model call, read-only; and a prompt with no query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.options import Command, home_option, json_option
from engine.cli.text import columns, echo_json, shorten
from engine.errors import SetwrightError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@click.command(cls=Command)
@click.argument("arguments", nargs=-1, metavar="[SPEC] [QUERY | NAME]")
@click.option("--list", "listing", is_flag=True, help="List the shipped queries, each of which runs by its NAME.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to a .parquet, .csv or .jsonl file."
)
@click.option("--limit", type=click.IntRange(min=1), default=40, show_default=True, help="Rows printed for people.")
@home_option
@json_option
def command(arguments: tuple[str, ...], listing: bool, out: Path | None, limit: int, home: Path, as_json: bool) -> None:
    """Ask the catalog. QUERY is SQL or the name of a shipped query; without one, a prompt opens.

    The tables of SPEC (default: of the spec that was built last) need no prefix. Beside them stand drops, rejects,
    errors, lineage, row_calls, tests, calls and builds. Works while a build runs.
    """
    from engine.catalog import connect
    from engine.cli.spec_name import spec_name
    from engine.explore.queries import find_query, shipped_queries
    from engine.ledger import Ledger
    from engine.store import Store

    if listing:
        click.echo(columns(("name", "purpose"), [(q.name, q.purpose) for q in shipped_queries()]))
        return
    spec, query = _arguments(arguments)
    if not (home / "objects").exists():
        raise SetwrightError(
            f"nothing is built under {home}", cure="run `setwright build SPEC`, or name another --home"
        )
    con = connect(Store(home), Ledger(home), None if spec is None else spec_name(spec))
    if query is None:
        _prompt(con, limit)
    else:
        _answer(con, find_query(query), out, limit, as_json)


def _arguments(arguments: tuple[str, ...]) -> tuple[Path | None, str | None]:
    """A first argument that names a YAML file is the spec."""
    rest = list(arguments)
    spec = Path(rest.pop(0)) if rest and rest[0].endswith((".yaml", ".yml")) else None
    if len(rest) > 1:
        raise click.UsageError("one query at most; quote it as one argument")
    return spec, rest[0] if rest else None


def _answer(con: duckdb.DuckDBPyConnection, query: str, out: Path | None, limit: int, as_json: bool) -> None:
    table = _run(con, query)
    if out is not None:
        from engine.explore.export import write_table

        write_table(table, out)
        click.echo(f"{table.num_rows:,} rows written to {out}", err=True)
    elif as_json:
        echo_json(table.to_pylist())
    else:
        click.echo(render(table, limit))


def _run(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    import duckdb

    try:
        return con.sql(query).to_arrow_table()
    except duckdb.Error as e:
        raise SetwrightError(str(e)) from e


def render(table: pa.Table, limit: int) -> str:
    """Aligned columns, long values cut, and the number of rows that are not shown."""
    rows = [[None if v is None else shorten(v, 60) for v in row.values()] for row in table.slice(0, limit).to_pylist()]
    text = columns(table.column_names, rows)
    hidden = table.num_rows - limit
    return text + (f"\n... {hidden:,} more rows (--limit)" if hidden > 0 else "")


def _prompt(con: duckdb.DuckDBPyConnection, limit: int) -> None:
    """Read queries line by line until an empty line's end of file; a query ends with a semicolon."""
    import readline  # noqa: F401  (editing and history for `input`)

    click.echo("SQL ends with ; and .quit leaves. SHOW TABLES; lists what is here.")
    lines: list[str] = []
    while True:
        try:
            line = input("setwright> " if not lines else "       ... ")
        except EOFError:
            return
        if line.strip() in (".quit", ".exit"):
            return
        lines.append(line)
        if line.rstrip().endswith(";"):
            query, lines = "\n".join(lines).rstrip().rstrip(";"), []
            try:
                click.echo(render(_run(con, query), limit))
            except SetwrightError as e:
                click.echo(str(e), err=True)
