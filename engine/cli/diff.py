"""`setwright diff`: what has become of a table between two builds."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.options import Command, home_option, json_option, spec_argument
from engine.cli.text import columns, echo_json
from engine.errors import SetwrightError, did_you_mean
from engine.names import last_of

if TYPE_CHECKING:
    from engine.explore.diff import Change, Diff, Drift, Version
    from engine.store import Store

TableText = Callable[[Sequence[str], Sequence[Sequence[Any]], Sequence[int]], str]
FIGURES = ("n", "mean", "sd", "p5", "p50", "p95")
POSITIONS = {"last": -1, "previous": -2}


@click.command(cls=Command, context_settings={"ignore_unknown_options": True})  # so that -1 is a build
@spec_argument
@click.argument("table")
@click.argument("builds", nargs=-1, metavar="[A [B]]")
@click.option("--markdown", is_flag=True, help="Markdown tables, for a review or a data card.")
@home_option
@json_option
def command(spec: Path, table: str, builds: tuple[str, ...], markdown: bool, home: Path, as_json: bool) -> None:
    """Show how TABLE differs between the builds A and B: rows, columns, and the drift of every number.

    A build is given by its id or the beginning of it, as last (-1), previous (-2), or -3 and so on. B is the last
    build where it isn't given; without either, the last two builds between which the table changed are compared.
    """
    from engine.cli.spec_name import spec_name
    from engine.explore.diff import diff
    from engine.store import Store

    for build in builds:
        if build.startswith("--"):
            raise click.NoSuchOption(build)
    if len(builds) > 2:
        raise click.UsageError("two builds at most")
    store, name = Store(home), spec_name(spec)
    table = last_of(table, store.ref_names(name))
    a, b = _pair(_versions(store, name, table), builds)
    found = diff(store, a.relation, b.relation)
    if as_json:
        echo_json({"table": table, "a": a.build, "b": b.build, **dataclasses.asdict(found)})
    else:
        click.echo(render(f"{table}: {a.build} -> {b.build}", found, _markdown if markdown else columns))


def _versions(store: Store, spec: str, table: str) -> list[Version]:
    from engine.explore.diff import versions

    found = versions(store, spec, table)
    if not found:
        known = [name for name in store.ref_names(spec) if "." not in name]
        raise SetwrightError(f"no build of {spec} made a table {table!r}{did_you_mean(table, known)}")
    return found


def _pair(known: list[Version], builds: tuple[str, ...]) -> tuple[Version, Version]:
    if builds:
        return _chosen(known, builds[0]), _chosen(known, builds[1] if len(builds) == 2 else "last")
    last = known[-1]
    other = next((v for v in reversed(known) if v.relation != last.relation), None)
    if other is None:
        where = "the only build" if len(known) == 1 else f"all {len(known)} builds"
        raise SetwrightError(
            f"the table is the same in {where} that made it",
            cure="change the spec and build again, or name two builds: setwright diff SPEC TABLE previous last",
        )
    return other, last


def _chosen(known: list[Version], name: str) -> Version:
    builds = [v.build for v in known]
    position = int(name) if re.fullmatch(r"-\d+", name) else POSITIONS.get(name)
    if position is not None:
        if not -len(known) <= position < 0:
            raise SetwrightError(f"there is no build {name} of the table", cure=f"its builds are {', '.join(builds)}")
        return known[position]
    matching = [v for v in known if v.build.startswith(name)]
    if len(matching) != 1:
        said = "several builds begin" if matching else "no build of the table begins"
        raise SetwrightError(f"{said} with {name!r}", cure=f"its builds are {', '.join(builds)}")
    return matching[0]


def render(title: str, found: Diff, table: TableText) -> str:
    """The differences as text; `table` lays out aligned columns, or Markdown."""
    rows = [
        ("before", found.rows_before, ""), ("after", found.rows_after, ""), ("added", *_change(found.added)),
        ("removed", *_change(found.removed)), ("changed", *_change(found.changed)),
    ]  # fmt: skip
    sections = [title, table(("rows", "", "row ids"), rows, (1,))]
    changes = list(_column_changes(found))
    if changes:
        sections.append(table(("column", "change"), changes, ()))
    moved = [drift for drift in found.drifts if drift.before != drift.after]
    if moved:
        sections.append(table(("drift", "", *FIGURES), list(_drift_rows(moved)), range(2, 8)))
    return "\n\n".join(sections)


def _change(change: Change) -> tuple[int, str]:
    more = ", ..." if change.rows > len(change.examples) else ""
    return change.rows, ", ".join(change.examples) + more


def _column_changes(found: Diff) -> Iterator[tuple[str, str]]:
    for name, rows in found.changed_columns.items():
        yield name, f"differs in {rows:,} row{'s' if rows > 1 else ''}"
    for name, (old, new) in found.retyped_columns.items():
        yield name, f"was {old}, is {new}"
    yield from ((name, "is new") for name in found.new_columns)
    yield from ((name, "is gone") for name in found.gone_columns)


def _drift_rows(drifts: Sequence[Drift]) -> Iterator[tuple[str, ...]]:
    for drift in drifts:
        label = drift.column + (f" ({drift.unit})" if drift.unit else "")
        for side, name, summary in (("before", label, drift.before), ("after", "", drift.after)):
            yield (name, side, *(_figure(getattr(summary, figure)) for figure in FIGURES))


def _figure(value: float | None) -> str:
    """A count as it is, and four significant digits of anything else."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int]) -> str:
    lines = [header, ["---:" if i in right else "---" for i in range(len(header))], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
