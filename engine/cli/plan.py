"""`setwright plan`: what a build would do, why, and the model calls and tokens that it would take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.figures import counted, ends, tokens
from engine.cli.options import Command, home_option, json_option, spec_argument
from engine.cli.text import columns, echo_json

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
        total = dict(zip(("calls", "tokens_in", "tokens_out"), map(ends, plan.total), strict=True))
        echo_json({"spec": plan.spec.name, "total": total, "steps": [_record(s) for s in plan.steps.values()]})
    else:
        click.echo(render(plan))


def render(plan: Plan) -> str:
    """The plan as aligned text, with a line of totals."""
    rows = [(s.name, s.step.label, s.status, *_figures(s), "; ".join(s.why)) for s in plan.steps.values()]
    header = ("step", "does", "status", "rows in", "calls", "tokens in", "tokens out", "why")
    table = columns(header, rows, right=(3, 4, 5, 6))
    return f"{table}\n\n{_totals(plan)}{_rounds(plan)}"


def _figures(s: Planned) -> tuple[str, str, str, str]:
    own = s.estimate
    asked = (counted(own.calls), tokens(own.tokens_in), tokens(own.tokens_out)) if s.step.models else ("", "", "")
    return counted(own.rows), *asked


def _totals(plan: Plan) -> str:
    pending = len(plan.pending())
    calls, tokens_in, tokens_out = plan.total
    asked = f"{pending} of {len(plan.steps)} steps to build, {counted(calls)} model calls"
    return asked if calls.high == 0 else f"{asked}, {tokens(tokens_in)} tokens in, {tokens(tokens_out)} tokens out"


def _rounds(plan: Plan) -> str:
    """What the stop rule does, or may do, to the number of rounds."""
    rounds = plan.spec.rounds
    if rounds.built < rounds.count:
        return f"\nthe stop rule ended the rounds after {rounds.built} of {rounds.count}"
    asks = any(s.step.verb == "until" for s in plan.pending())
    return f"\nthe stop rule may end the rounds before the last of {rounds.count}" if asks else ""


def _record(s: Planned) -> dict[str, Any]:
    return {
        "step": s.name, "does": s.step.label, "status": s.status, "why": list(s.why), "fingerprint": s.fingerprint,
        "needs": list(s.needs), "rows_in": ends(s.estimate.rows), "calls": ends(s.estimate.calls),
        "tokens_in": ends(s.estimate.tokens_in), "tokens_out": ends(s.estimate.tokens_out), "exact": s.estimate.exact,
    }  # fmt: skip
