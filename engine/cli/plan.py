"""`setwright plan`: what a build would do, why, and the model calls that it would make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.options import Command, home_option, json_option, spec_argument
from engine.cli.text import columns, count, echo_json

if TYPE_CHECKING:
    from engine.plan.steps import Plan, Planned


@click.command(cls=Command)
@spec_argument
@click.option("--select", "selection", metavar="NAMES", help="Nodes to build, in dbt's language: a+, +a, tag:x.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Rows of each source at most.")
@home_option
@json_option
def command(spec: Path, selection: str | None, limit: int | None, home: Path, as_json: bool) -> None:
    """Show what a build would do, and why. Runs nothing."""
    from engine.ledger import Ledger
    from engine.plan import make_plan
    from engine.spec.load import load_spec
    from engine.store import Store

    ledger = Ledger(home) if (home / "ledger.sqlite").exists() else None
    try:
        plan = make_plan(load_spec(spec), Store(home), selection=selection, limit=limit, ledger=ledger)
    finally:
        if ledger is not None:
            ledger.close()
    if as_json:
        echo_json({"spec": plan.spec.name, "steps": [_record(s) for s in plan.steps.values()]})
    else:
        click.echo(render(plan))


def render(plan: Plan) -> str:
    """The plan as aligned text, with a line of totals."""
    rows = [
        (s.name, s.step.label, s.status, _figure(s.estimate.rows, s.estimate.exact), _calls(s), "; ".join(s.why))
        for s in plan.steps.values()
    ]
    table = columns(("step", "does", "status", "rows in", "calls", "why"), rows, right=(3, 4))
    return f"{table}\n\n{_totals(plan)}{_rounds(plan)}"


def _totals(plan: Plan) -> str:
    asking = [s.estimate for s in plan.pending() if s.estimate.calls != 0]
    known = sum(e.calls or 0 for e in asking)
    about = "" if all(e.exact for e in asking) else "about "
    total = f"{len(plan.pending())} of {len(plan.steps)} steps to build, {about}{known:,} model calls"
    unknown = sum(e.calls is None for e in asking)
    return total + (f", and those of {unknown} steps whose rows aren't known yet" if unknown else "")


def _rounds(plan: Plan) -> str:
    """What the stop rule does, or may do, to the number of rounds."""
    rounds = plan.spec.rounds
    if rounds.built < rounds.count:
        return f"\nthe stop rule ended the rounds after {rounds.built} of {rounds.count}"
    return f"\nthe stop rule may end the rounds before the last of {rounds.count}" if rounds.stop_rules else ""


def _figure(n: int | None, exact: bool) -> str:
    return count(n) if exact or n is None else f"~{n:,}"


def _calls(s: Planned) -> str:
    calls = s.estimate.calls
    return "" if not s.step.models else _figure(calls, s.estimate.exact or calls == 0)


def _record(s: Planned) -> dict[str, Any]:
    return {
        "step": s.name, "does": s.step.label, "status": s.status, "why": list(s.why), "fingerprint": s.fingerprint,
        "needs": list(s.needs), "rows_in": s.estimate.rows, "calls": s.estimate.calls, "exact": s.estimate.exact,
    }  # fmt: skip
