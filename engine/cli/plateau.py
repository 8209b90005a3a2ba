"""`setwright plateau`: how much data is enough, from the quality measured at a few shares of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.options import Command, home_option, json_option
from engine.cli.text import columns, echo_json
from engine.errors import SetwrightError

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow as pa

    from engine.statistics.intervals import Interval
    from engine.statistics.plateau import Plateau

WIDTH, HEIGHT = 60, 12


@dataclass(frozen=True)
class Fitted:
    """The points, the law through them, and what it says."""

    x: np.ndarray
    y: np.ndarray
    law: Plateau
    part: float
    intervals: dict[str, Interval]
    warnings: Sequence[str]


@click.command(cls=Command)
@click.argument("arguments", nargs=-1, required=True, metavar="[SPEC] QUERY")
@click.option(
    "--enough", "part", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True,
    help="The part of the plateau's quality that is enough.",
)  # fmt: skip
@click.option("--at", "shares", metavar="X,Y", help="Shares to read the curve at, besides those measured.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the intervals' random draws.")
@home_option
@json_option
def command(arguments: tuple[str, ...], part: float, shares: str | None, seed: int, home: Path, as_json: bool) -> None:
    """Fit R(x) = r - (r - a) exp(-b x) to measured points, and say which share of the data is enough.

    QUERY is SQL whose first column is the share of the data that a model was trained on, in percent or as a part of
    1, and whose second one is the quality that it reached: a win rate, an accuracy. Several rows may have the same
    share. The tables of SPEC need no prefix; without a SPEC the points stand in the query itself:

    \b
      setwright plateau "VALUES (0, 18.3), (10, 78.7), (25, 81.3), (50, 81.6), (100, 82.7)"

    r is the quality that more and more data leads to, a that of the model as it is, b how fast one goes to the other.
    Intervals are of 95 percent, by bootstrap.
    """
    from engine.statistics.plateau import doubts, fit, intervals

    x, y = _points(arguments, home)
    law = fit(x, y)
    found = Fitted(x, y, law, part, intervals(law, x, y, part, seed=seed), list(doubts(law, x, y, part)))
    asked = _numbers(shares) if shares else []
    if as_json:
        echo_json(_plain(found, asked))
    else:
        click.echo("\n".join(_report(found, asked)))


def _points(arguments: tuple[str, ...], home: Path) -> tuple[np.ndarray, np.ndarray]:
    """Shares and qualities, in the order of the shares."""
    import numpy as np

    *specs, query = arguments
    if len(specs) > 1:
        raise click.UsageError("one query at most; quote it as one argument")
    with _connection(Path(specs[0]) if specs else None, home) as con:
        table = _answer(con, query)
    if table.num_columns < 2 or table.num_rows == 0:
        raise SetwrightError(
            f"the query gave {table.num_rows} rows of {table.num_columns} columns",
            cure="ask for points: SELECT share, quality FROM ...",
        )
    x, y = (_column(table, i) for i in range(2))
    order = np.lexsort((y, x))
    return x[order], y[order]


@contextmanager
def _connection(spec: Path | None, home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The catalog with the spec's tables first; without a spec no tables, and no way to any."""
    from engine.catalog import connect
    from engine.cli.spec_name import spec_name
    from engine.ledger import Ledger
    from engine.sandbox import sandbox, seal
    from engine.store import Store

    if spec is None:
        with sandbox(home) as con:
            seal(con)
            yield con
        return
    if not (home / "objects").exists():
        raise SetwrightError(f"nothing is built under {home}", cure=f"setwright build {spec}")
    ledger = Ledger(home)
    try:
        with connect(Store(home), ledger, spec_name(spec)) as con:
            yield con
    finally:
        ledger.close()


def _answer(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    import duckdb

    try:
        return con.sql(query).to_arrow_table()
    except duckdb.Error as e:
        raise SetwrightError(str(e)) from e


def _column(table: pa.Table, i: int) -> np.ndarray:
    """A column as float64, null as NaN."""
    import pyarrow as pa

    from engine.schema import is_number

    column = table.column(i)
    if not is_number(column.type):
        raise SetwrightError(
            f"column {i + 1} of the query, {table.column_names[i]}, is of type {column.type}, not a number",
            cure="give shares first and qualities second, as numbers",
        )
    numbers: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy()
    return numbers


def _numbers(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--at takes numbers with commas between them, not {text!r}") from None


def _report(found: Fitted, asked: Sequence[float]) -> Iterator[str]:
    """The lines for people."""
    import numpy as np

    from engine.cli.chart import chart

    meaning = {
        "r": "with ever more data", "a": "without any", "b": "how fast", "enough": f"share for {found.part:g} of r",
    }  # fmt: skip
    rows = [
        (name, _short(i.value), f"{_short(i.low)} to {_short(i.high)}", meaning[name])
        for name, i in found.intervals.items()
    ]
    yield columns(("", "fitted", "95 % interval", ""), rows, right=(1,))
    yield ""
    x, y = np.append(found.x, asked), np.append(found.y, np.full(len(asked), np.nan))
    read = zip(x, y, found.law.at(x), y - found.law.at(x), strict=True)
    yield columns(("share", "measured", "curve", "apart"), [tuple(map(_short, row)) for row in read], right=range(4))
    yield ""
    yield chart(found.law.at, found.x, found.y, found.intervals["enough"].value, width=WIDTH, height=HEIGHT)
    if found.warnings:
        yield ""
    yield from (f"warning: {doubt}" for doubt in found.warnings)


def _plain(found: Fitted, asked: Sequence[float]) -> dict[str, Any]:
    """The same for machines; null where there is no interval."""
    ends = {
        name: {key: None if math.isnan(value) else value for key, value in vars(interval).items()}
        for name, interval in found.intervals.items()
    }
    points = zip(found.x.tolist(), found.y.tolist(), found.law.at(found.x).tolist(), strict=True)
    return {
        **ends,
        "enough": {"part": found.part, **ends["enough"]},
        "points": [{"share": share, "measured": quality, "curve": curve} for share, quality, curve in points],
        "at": [{"share": at, "curve": curve} for at, curve in zip(asked, found.law.at(asked).tolist(), strict=True)],
        "warnings": found.warnings,
    }


def _short(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
