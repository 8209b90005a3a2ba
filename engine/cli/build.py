"""`setwright build`: build what is missing, show how it goes, and say what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.options import Command, home_option, json_option, spec_argument
from engine.cli.text import columns, echo_json, seconds

if TYPE_CHECKING:
    from engine.builds import Report


@click.command(cls=Command)
@spec_argument
@click.option("--select", "selection", metavar="NAMES", help="Nodes to build, in dbt's language: a+, +a, tag:x.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Rows of each source at most.")
@click.option("--wait", is_flag=True, help="Wait for another build that holds the home.")
@home_option
@json_option
def command(spec: Path, selection: str | None, limit: int | None, wait: bool, home: Path, as_json: bool) -> None:
    """Build every table that is missing or has changed. What is finished is never done again.

    Ctrl-C once finishes what is in flight and commits; twice stops at once.
    """
    from engine.builds import build
    from engine.cli.live import Live
    from engine.spec.load import load_spec

    loaded = load_spec(spec)
    with Live(quiet=as_json) as live:
        report = build(loaded, home, selection=selection, limit=limit, wait=wait, watch=live.watch)
    if as_json:
        echo_json(
            {"build": report.build, "exit_code": report.exit_code, "seconds": report.seconds, "steps": report.steps}
        )
    else:
        click.echo(render(report))
    sys.exit(report.exit_code)


def render(report: Report) -> str:
    """The steps that were not merely cached or that have something to say, and a line of totals."""
    shown = [s for s in report.steps if s["state"] != "cached" or s["detail"]] or report.steps
    rows = [(s["step"], s["label"], s["state"], _rows(s), _calls(s), seconds(s["seconds"]), s["detail"]) for s in shown]
    table = columns(("step", "does", "state", "rows", "calls", "time", ""), rows, right=(3, 5))
    return f"{table}\n\n{_totals(report)}"


def _rows(s: dict[str, Any]) -> str:
    if s["rows"] is None:
        return "-"
    said = f"{s['rows']:,}" if s["selected"] is None else f"{s['selected']:,} of {s['rows']:,}"
    if s["rejects"]:
        said += f", {s['rejects']:,} rejected"
    return said + (f", {s['failed']:,} failed" if s["failed"] else "")


def _calls(s: dict[str, Any]) -> str:
    figures = ((s["calls_sent"], "sent"), (s["calls_cached"], "known"), (s["calls_failed"], "failed"))
    return ", ".join(f"{n:,} {word}" for n, word in figures if n)


def _totals(report: Report) -> str:
    states = [s["state"] for s in report.steps]
    figures = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return f"build {report.build}: {', '.join(figures)} in {seconds(report.seconds)}; catalog: {report.catalog}"
