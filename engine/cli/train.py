"""`setwright train`: train one model of a spec, with all that it stands on."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from engine.cli.options import Command, home_option, json_option, spec_argument
from engine.cli.text import echo_json
from engine.errors import SetwrightError, did_you_mean
from engine.names import bare, last_of, round_of


@click.command(cls=Command)
@spec_argument
@click.argument("model")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Rows of each source at most.")
@click.option("--wait", is_flag=True, help="Wait for another build that holds the home.")
@home_option
@json_option
def command(spec: Path, model: str, limit: int | None, wait: bool, home: Path, as_json: bool) -> None:
    """Train MODEL here, after the tables and models that it stands on; nothing that is built is built again.

    Says how it went and where the model's folder is, which transformers and vLLM load as it stands. Ctrl-C once writes
    a checkpoint, from which the same command goes on; twice stops at once.
    """
    from engine.builds import build
    from engine.cli.build import render
    from engine.cli.live import Live
    from engine.spec.load import load_spec
    from engine.store import Store

    loaded = load_spec(spec)
    model = last_of(model, loaded.trained)
    if model not in loaded.trained:
        what = f"models.{model} is used, not trained" if model in loaded.models else f"no model {model!r} is trained"
        raise SetwrightError(f"{spec}: {what}{did_you_mean(model, loaded.trained)}")
    with Live(quiet=as_json) as live:
        report = build(loaded, home, selection=f"+{model}", limit=limit, wait=wait, watch=live.watch)
    made = [step["step"] for step in report.steps if step["fingerprint"]]
    if model not in made and round_of(model) is not None:  # the stop rule has ended the rounds before
        model = last_of(f"{bare(model)}@last", made)
    step = next((step for step in report.steps if step["step"] == model), None)
    folder = str(Store(home).model(step["fingerprint"])) if step and step["fingerprint"] else None
    others = [step for step in report.steps if step["detail"].startswith("not selected")]
    steps = tuple(step for step in report.steps if step not in others)
    if as_json:
        echo_json({"build": report.build, "exit_code": report.exit_code, "model": folder, "steps": steps})
    else:
        click.echo(render(replace(report, steps=steps)))
        if folder is not None:
            click.echo(f"{model}: {folder}")
    sys.exit(report.exit_code)
