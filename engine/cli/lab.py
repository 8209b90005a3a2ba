"""`setwright lab`: one table through several selectors at the same budget, as a table and a chart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.options import Command, home_option, json_option, spec_argument
from engine.cli.text import columns, echo_json, seconds
from engine.errors import ExitCode, SetwrightError

if TYPE_CHECKING:
    from engine.lab.measures import Measures
    from engine.lab.nodes import Line
    from engine.lab.trial import Trial

ALL = "(all rows)"
BAR = 40
"""Characters of a full bar."""


@click.command(cls=Command)
@spec_argument
@click.argument("table")
@click.option(
    "--selectors", "asked", required=True, metavar="A,B", help="Selectors, or LABEL=SELECTOR to try one twice."
)
@click.option("--budget", type=click.IntRange(min=1), metavar="N", help="Rows that each may keep.")
@click.option("--set", "settings", multiple=True, metavar="LABEL.PARAM=VALUE", help="A parameter of one of them.")
@click.option("--score", metavar="SQL", help="The score to compare; the product of deita's two where they are there.")
@click.option("--by", metavar="COLUMN", help="Whose shares are compared [default: source, where there is one].")
@click.option("--export", metavar="LABEL", help="Print this line as a node of a spec, and nothing else.")
@home_option
@json_option
def command(
    spec: Path, table: str, asked: str, budget: int | None, settings: tuple[str, ...], score: str | None,
    by: str | None, export: str | None, home: Path, as_json: bool,
) -> None:  # fmt: skip
    """Compare selectors on the built TABLE of SPEC: what they share, cover, repeat and score, and how long they take.

    Each selector is built as a node TABLE_by_LABEL beside the spec's own, with its verdicts in the store: it can be
    queried by `setwright sql`, and a node that is pasted into the spec with --export is not built again.
    """
    from engine.cli.live import Live
    from engine.lab.trial import hold
    from engine.spec.load import load_spec

    loaded, labels = load_spec(spec), _labels(asked)
    if export is not None and export not in labels:
        raise SetwrightError(f"--export {export} is none of the selectors {', '.join(labels)}")
    with Live(quiet=as_json or export is not None) as live:
        trial = hold(loaded, home, table, labels, budget, _settings(settings, labels), score, by, live.watch)
    if export is not None:
        click.echo(_exported(trial.line(export)), nl=False)
    elif as_json:
        echo_json(_plain(trial))
    else:
        click.echo(render(trial))
    if any(line.problem for line in trial.lines):
        raise SystemExit(ExitCode.FAILURES)


def render(trial: Trial) -> str:
    """The lines' figures, what they share, and a chart of them."""
    parts = [_figures(trial)]
    if len(trial.measures) > 1:
        parts.append(_overlaps(trial))
    if trial.whole.groups:
        parts.append(_groups(trial))
    if any(m.coverage is not None for m in trial.measures.values()):
        parts.append(_chart(trial))
    parts += [f"{line.label}: {line.problem}" for line in trial.lines if line.problem]
    return "\n\n".join(parts)


def _figures(trial: Trial) -> str:
    head = ("selector", "rows", "score", "coverage", "redundancy", "clusters", "time")
    rows = [_row(label, trial.measures[label], seconds(trial.seconds[label])) for label in trial.measures]
    return columns(head, [*rows, _row(ALL, trial.whole, "")], right=range(1, 7))


def _row(label: str, found: Measures, time: str) -> tuple[str, ...]:
    figures = (_number(found.score), _number(found.coverage), _share(found.redundancy), _number(found.clusters, 1))
    return (label, f"{found.rows:,}", *figures, time)


def _overlaps(trial: Trial) -> str:
    labels = list(trial.measures)
    rows = [(one, *(_share(trial.overlap(one, other)) for other in labels)) for one in labels]
    return columns(("rows in both", *labels), rows, right=range(1, len(labels) + 1))


def _groups(trial: Trial) -> str:
    names = list(trial.whole.groups)[:8]
    everyone = {**trial.measures, ALL: trial.whole}
    rows = [(label, *(_share(found.groups.get(name, 0.0)) for name in names)) for label, found in everyone.items()]
    return columns((f"share by {trial.by}", *names), rows, right=range(1, len(names) + 1))


def _chart(trial: Trial) -> str:
    """A bar for coverage and one for redundancy; both are shares of one."""
    width = max(map(len, trial.measures))
    lines = []
    for label, found in trial.measures.items():
        for name, value in (("coverage", found.coverage), ("redundancy", found.redundancy)):
            shown = label if name == "coverage" else ""
            bar = "" if value is None else "█" * round(max(value, 0.0) * BAR)
            lines.append(f"{shown:<{width}}  {name:<10}  {bar:<{BAR}}  {_number(value)}".rstrip())
    return "\n".join(lines)


def _exported(line: Line) -> str:
    if line.problem:
        raise SetwrightError(f"{line.label} can't run: {line.problem}")
    return line.as_yaml()


def _labels(asked: str) -> dict[str, str]:
    """Labels and the selectors they stand for."""
    pairs = [part.strip().partition("=") for part in asked.split(",") if part.strip()]
    labels = {label: selector or label for label, _, selector in pairs}
    if len(labels) < len(pairs):
        raise SetwrightError(f"--selectors {asked}: two have one label", cure="call one of them LABEL=SELECTOR")
    return labels


def _settings(given: Sequence[str], labels: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The parameters of each label; values are read as YAML."""
    import yaml

    found: dict[str, dict[str, Any]] = {label: {} for label in labels}
    for text in given:
        place, equals, value = text.partition("=")
        label, dot, name = place.partition(".")
        if not (equals and dot) or label not in found:
            cure = f"write LABEL.PARAM=VALUE, with LABEL one of {', '.join(labels)}"
            raise SetwrightError(f"--set {text} names no parameter", cure=cure)
        found[label][name] = yaml.safe_load(value)
    return found


def _plain(trial: Trial) -> dict[str, Any]:
    lines = [
        {
            "selector": line.label,
            "node": {line.name: dict(line.node)},
            "problem": line.problem or None,
            "seconds": trial.seconds.get(line.label),
            "measures": dataclasses.asdict(trial.measures[line.label]) if line.label in trial.measures else None,
            "overlap": {other: trial.overlap(line.label, other) for other in trial.measures}
            if line.label in trial.measures
            else {},
        }
        for line in trial.lines
    ]
    return {"table": trial.table, "all": dataclasses.asdict(trial.whole), "lines": lines}


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
