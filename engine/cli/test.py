"""`setwright test`: run the data tests of tables that are built, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.options import Command, home_option, json_option, spec_argument
from engine.cli.text import columns, echo_json, shorten
from engine.errors import ExitCode, SetwrightError, did_you_mean
from engine.names import last_of

if TYPE_CHECKING:
    from engine.builds import Report
    from engine.spec.nodes import Spec
    from engine.store import Store

TOLD = ("test", "severity", "failures", "detail")


@click.command(cls=Command)
@spec_argument
@click.argument("tables", nargs=-1)
@home_option
@json_option
def command(spec: Path, tables: tuple[str, ...], home: Path, as_json: bool) -> None:
    """Run the data tests of TABLES (all, if none is named) on what is built. Nothing else is built.

    Exits with 1 if a test of severity error fails, or can't run because its table isn't built as the spec says.
    """
    from engine.builds import build
    from engine.spec.load import load_spec
    from engine.store import Store

    loaded = load_spec(spec)
    chosen = _chosen(loaded, tables)
    report = build(loaded, home, selection=" ".join(f"{table}.tests" for table in chosen))
    outcomes = list(_outcomes(Store(home), report, chosen))
    if as_json:
        echo_json(outcomes)
    else:
        click.echo(render(outcomes))
        if any(outcome["outcome"] == "not run" for outcome in outcomes):
            click.echo(f"  cure: setwright build {spec}, which also runs these tests", err=True)
    if report.exit_code > ExitCode.FAILURES:  # interrupted, or a test that could not be run at all
        sys.exit(report.exit_code)
    broken = any(outcome["outcome"] in ("failed", "not run") for outcome in outcomes)
    sys.exit(ExitCode.FAILURES if broken else ExitCode.DONE)


def _chosen(spec: Spec, tables: tuple[str, ...]) -> list[str]:
    """The tables to test, in the spec's order."""
    tested = [name for name, table in spec.tables.items() if table.tests]
    tables = tuple(last_of(name, spec.tables) for name in tables)
    for name in tables:
        if name not in spec.tables:
            raise SetwrightError(f"{spec.name} has no table {name!r}{did_you_mean(name, spec.tables)}")
        if name not in tested:
            raise SetwrightError(
                f"{name} has no tests", cure=f"add `tests:` to it, or name one of: {', '.join(tested)}"
            )
    if not tested:
        raise SetwrightError(f"no table of {spec.name} has tests", cure="add `tests: [{rows: {min: 1}}]` to a table")
    return [name for name in tested if not tables or name in tables]


def _outcomes(store: Store, report: Report, tables: list[str]) -> Iterator[dict[str, Any]]:
    """One record for each test; one for a table whose tests could not run."""
    steps = {step["step"]: step for step in report.steps}
    for table in tables:
        step = steps.get(f"{table}.tests")
        if step is None:  # of a round that the stop rule has left out
            continue
        if step["state"] not in ("built", "cached"):
            detail = steps[table]["detail"] or step["detail"]
            yield {"table": table, "outcome": "not run", **dict.fromkeys(TOLD), "detail": detail}
            continue
        for row in store.read_part(step["fingerprint"], 0).to_pylist():
            outcome = "passed" if row["passed"] else "failed" if row["severity"] == "error" else "warned"
            yield {"table": table, "outcome": outcome, **{key: row[key] for key in TOLD}}


def render(outcomes: list[dict[str, Any]]) -> str:
    """A line for each test, and a line of totals."""
    rows = [
        (o["table"], o["test"] and shorten(o["test"], 60), o["outcome"], o["failures"] or "", o["detail"])
        for o in outcomes
    ]
    states = [o["outcome"] for o in outcomes]
    totals = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return columns(("table", "test", "outcome", "failures", "detail"), rows, right=(3,)) + f"\n\n{totals}"
