"""`setwright handoff`: write a folder that trains elsewhere."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from engine.cli.options import Command, home_option, json_option, spec_argument
from engine.cli.text import echo_json


@click.command(cls=Command)
@spec_argument
@click.argument("name")
@click.option(
    "--to",
    "target",
    type=click.Choice(["native", "trl", "llamafactory", "axolotl"]),
    default="native",
    show_default=True,
    help="What is to train it.",
)
@click.option("--out", type=click.Path(path_type=Path), help="The folder; by default handoffs/NAME-TO.")
@home_option
@json_option
def command(spec: Path, name: str, target: str, out: Path | None, home: Path, as_json: bool) -> None:
    """Write the hand-off NAME of SPEC as a folder that trains elsewhere: data, config and the command to run.

    The rows must have been built. The pre-flight shows the very tokens and masks that are trained on, and refuses what
    would go wrong; its report stands beside the data. What the target can't do as it is ordered is refused, too.
    """
    from engine.handoff.deliver import TARGETS, deliver
    from engine.handoff.order import make_order
    from engine.plan import make_plan
    from engine.spec.load import load_spec
    from engine.store import Store

    store = Store(home)
    order, source = make_order(make_plan(load_spec(spec), store), store, name)
    done = deliver(order, source, TARGETS[target], out or Path("handoffs") / f"{name}-{target}")
    if as_json:
        echo_json({**asdict(done), "folder": str(done.folder)})
        return
    click.echo(
        f"{done.rows:,} rows, {done.target_tokens:,} tokens to train on; checked: {done.folder / 'preflight.md'}"
    )
    for note in done.notes:
        click.echo(f"  note: {note}")
    click.echo(f"  cd {done.folder} && {done.command}")
