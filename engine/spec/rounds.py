"""Rounds are unrolled before any node is read: what repeats becomes a node of each round, `kept@2`.

Every name in it becomes that of a node, too. From there on, nodes of rounds are nodes like others. What is wrong with
one is told where the spec writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from engine.errors import did_you_mean
from engine.spec.composer import Keys
from engine.spec.forms import ChangeForm, RoundsForm, SpecForm
from engine.spec.loop import Loop
from engine.spec.problems import Problems
from engine.spec.references import References
from engine.spec.validate import read_form
from engine.spec.values import quoted

KINDS = ("models", "tables")

Changes = list[tuple[Keys, ChangeForm]]
"""What is different in some rounds, and where the spec writes it."""


def read_rounds(form: SpecForm, problems: Problems) -> RoundsForm | None:
    """The rounds of a spec, None where it has none."""
    return None if form.rounds is None else read_form(RoundsForm, form.rounds, ("rounds",), "rounds", problems)


def unroll(form: SpecForm, rounds: RoundsForm | None, built: int | None, problems: Problems) -> tuple[SpecForm, Loop]:
    """The form of a spec in which no rounds are left, and what the names of its rounds mean.

    Args:
        form: the spec.
        rounds: its rounds.
        built: how many of them there are, where the stop rule has ended them; None for all.
        problems: where mistakes are noted; it learns where the nodes of rounds are written.
    """
    loop = Loop() if rounds is None else _loop(rounds, built, problems)
    named = _outside(form, loop, problems)
    if rounds is not None:
        changes = _changes(rounds, problems)
        for number in range(1, loop.built + 1):
            references = References(partial(loop.inside, number=number), problems)
            for kind in KINDS:
                named[kind] |= _of_round(rounds, changes, number, kind, references, problems)
    return form.model_copy(update=named), loop


def _outside(form: SpecForm, loop: Loop, problems: Problems) -> dict[str, Any]:
    """What stands outside of the rounds and names other nodes, by its key of the spec."""
    references = References(loop.outside, problems)
    named: dict[str, Any] = {}
    for kind in (*KINDS, "handoffs"):
        given = getattr(form, kind) or {}
        named[kind] = {name: references.of(kind, data, (kind, name)) for name, data in given.items()}
    if form.run is not None and "endpoints" in form.run:
        endpoints = references.keys(form.run["endpoints"], ("run", "endpoints"))
        named["run"] = {**form.run, "endpoints": endpoints}
    return named


def _loop(rounds: RoundsForm, built: int | None, problems: Problems) -> Loop:
    """What the names mean; a count that is missing or wrong is read as a single round."""
    count = rounds.count or 1
    if rounds.count is None and not rounds.broken("count"):
        problems.add(("rounds", "count"), "missing (rounds say how many there are)")
    loop = Loop(count, built or count, tuple(rounds.models or {}), tuple(rounds.tables or {}), rounds.first or {})
    if not loop.tables and not rounds.broken("tables"):
        problems.add(("rounds", "tables"), "missing (rounds have at least one table)")
    for name, stand_in in loop.first.items():
        at = ("rounds", "first", name)
        if name not in loop.names:
            message = f"{quoted(name)} does not repeat in these rounds{did_you_mean(name, loop.names)}"
            problems.add(at, message, of="key")
        elif stand_in is not None and (stand_in in loop.names or "@" in stand_in):
            problems.add(at, "before round 1 nothing of the rounds is there; name a node that stands outside, or null")
    return loop


def _changes(rounds: RoundsForm, problems: Problems) -> Changes:
    """The changes that say in which round, of nodes that there are."""
    found = []
    for i, item in enumerate(rounds.change or ()):
        path: Keys = ("rounds", "change", i)
        change = read_form(ChangeForm, item, path, "a change", problems)
        if change is None:
            continue
        if change.round is None and not change.broken("round"):
            problems.add((*path, "round"), "missing (a change says in which round)")
        elif change.round is not None and rounds.count is not None and change.round > rounds.count:
            problems.add((*path, "round"), f"there are {rounds.count} rounds, found {change.round}")
        for kind in KINDS:
            known = getattr(rounds, kind) or {}
            for name in (getattr(change, kind) or {}).keys() - known.keys():
                message = f"no such node repeats in these rounds{did_you_mean(name, known)}"
                problems.add((*path, kind, name), message, of="key")
        found.append((path, change))
    return found


def _of_round(
    rounds: RoundsForm, changes: Changes, number: int, kind: str, references: References, problems: Problems
) -> dict[str, Any]:
    """The nodes of one kind in one round; where they are written is noted, the last change of a node first."""
    nodes = {}
    for name, data in (getattr(rounds, kind) or {}).items():
        node = f"{name}@{number}"
        written: tuple[Keys, ...] = (("rounds", kind, name),)
        for path, change in _changes_of(changes, number, kind, name):
            data, written = _merged(data, change), (path, *written)
        problems.document.written[kind, node] = written
        nodes[node] = references.of(kind, data, (kind, node))
    return nodes


def _changes_of(changes: Changes, number: int, kind: str, name: str) -> Iterator[tuple[Keys, Any]]:
    """What is different with a node in a round."""
    for path, change in changes:
        named = getattr(change, kind) or {}
        if change.round == number and name in named:
            yield (*path, kind, name), named[name]


def _merged(value: Any, change: Any) -> Any:
    """A value with a change in it: mappings key by key, anything else as a whole."""
    if not (isinstance(value, dict) and isinstance(change, dict)):
        return change
    return value | {key: _merged(value.get(key), item) for key, item in change.items()}
