"""The selectors of a lab as nodes of the spec: which of them can run, and their build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from engine.builds import Report, build
from engine.errors import SetwrightError, SpecError, did_you_mean
from engine.names import last_of
from engine.plan import make_plan
from engine.plan.steps import Plan
from engine.progress import Monitor
from engine.registry import operator, operator_names
from engine.relation import Reader, Relation
from engine.spec.load import with_tables
from engine.spec.nodes import Spec
from engine.store import Store

BUDGETS = ("budget", "k")
"""What a selector's number of rows may be called."""

SELECT = "select"


@dataclass(frozen=True)
class Line:
    """One line of a lab: a selector over a table.

    Attributes:
        label: what the line is called; the selector's name, or one that the user gave it.
        name: of the node.
        node: the node as plain values.
        problem: why it can't run; "" where it can.
    """

    label: str
    name: str
    node: Mapping[str, Any] = field(repr=False)
    problem: str = ""

    def as_yaml(self) -> str:
        """The node as it is written under a spec's `tables:`."""
        text = yaml.safe_dump({self.name: dict(self.node)}, sort_keys=False, default_flow_style=None, width=100)
        return "".join(f"  {line}\n" for line in text.splitlines())


def line(label: str, selector: str, table: str, budget: int | None, settings: Mapping[str, Any]) -> Line:
    """A selector as a node; the budget goes to the parameter that its selector has for it.

    Raises:
        SetwrightError: there is no such selector.
    """
    known = operator_names(SELECT)
    if selector not in known:
        raise SetwrightError(f"unknown selector {selector!r}{did_you_mean(selector, known)}", cure="setwright ops")
    takes = operator(SELECT, selector).params.model_fields
    budgets = {} if budget is None else {name: budget for name in BUDGETS if name in takes}
    params = budgets | dict(settings)
    node = {"select": selector, "from": table} | ({"params": params} if params else {})
    return Line(label, f"{table.replace('@', '_')}_by_{label}", node)


def checked(spec: Spec, store: Store, found: Line) -> Line:
    """The line with what a plan says against it."""
    try:
        make_plan(with_tables(spec, {found.name: found.node}), store, selection=found.name)
    except SpecError as e:
        said = (p.message if p.path.endswith(found.name) else f"{p.path}: {p.message}" for p in e.problems)
        problem = "; ".join(text.removeprefix(f"tables.{found.name}.") for text in said)
        return Line(found.label, found.name, found.node, problem)
    return found


def built_table(spec: Spec, store: Store, table: str) -> tuple[str, Reader]:
    """The full name of a table, and its last build.

    Raises:
        SetwrightError: there is none.
    """
    names = [name for name in store.ref_names(spec.name) if "." not in name]
    full = last_of(table, names)
    ref = store.ref(spec.name, full)
    if ref is None:
        raise SetwrightError(
            f"{spec.name} has no built table {table!r}{did_you_mean(table, names)}",
            cure=f"setwright build {spec.file} --select +{table}",
        )
    return full, Reader(store, Relation.from_json(ref["relation"]))


def build_lines(
    spec: Spec, home: Path, lines: Sequence[Line], watch: Callable[[Plan, Monitor], Any] | None = None
) -> Report:
    """Build the lines' nodes, and nothing that they stand on."""
    whole = with_tables(spec, {found.name: found.node for found in lines})
    return build(whole, home, selection=" ".join(found.name for found in lines), watch=watch)


def verdicts(spec: Spec, store: Store, lines: Sequence[Line]) -> dict[str, Reader]:
    """The built selections by the lines' labels."""
    refs = {found.label: store.ref(spec.name, found.name) for found in lines}
    return {label: Reader(store, Relation.from_json(ref["relation"])) for label, ref in refs.items() if ref}
