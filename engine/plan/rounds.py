"""Rounds in a plan: each begins once the stop rule has let the one before it go on, and none follows where it says so.

A spec whose rounds are known to have ended is planned as one that never counted more of them. So the tables that read
the last round, or all, have the same identities as if they had.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from engine.names import round_of
from engine.plan.steps import Planned, Step, Verb
from engine.spec.nodes import Spec
from engine.spec.stop_rule import PATH
from engine.store import Store

_ROUND = re.compile(r"(?<=[a-z0-9_*])@(last|[0-9]+)")


def in_turn(spec: Spec, graph: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The graph of a spec's nodes with the stop rule's questions in it, and each round after the question before it."""
    asked = {round_of(rule.name): rule for rule in spec.rounds.stop_rules}
    found = {rule.name: rule.inputs for rule in asked.values()}
    for name, reads in graph.items():
        before = asked.get((round_of(name) or 0) - 1)
        found[name] = reads if before is None else (*reads, before.name)
    return found


def stop_steps(spec: Spec, name: str) -> Iterator[Step]:
    """The step that asks whether more rounds follow."""
    rule = next(rule for rule in spec.rounds.stop_rules if rule.name == name)
    yield Step(name, Verb.UNTIL, name, rule.inputs, PATH, text=rule.sql, names=rule.names)


def ended(planned: Mapping[str, Planned], store: Store) -> int | None:
    """The round after which a stop rule is known to have said that no other follows."""
    for step in planned.values():
        if step.step.verb is Verb.UNTIL:
            manifest = store.manifest(step.fingerprint)
            if manifest is not None and manifest.facts["stop"]:
                return step.step.round
    return None


def as_built(selection: str | None, spec: Spec) -> str | None:
    """A selection with `@last`, and rounds that the stop rule has left out, as the last round that there is."""
    rounds = spec.rounds

    def known(match: re.Match[str]) -> str:
        left_out = match[1] != "last" and rounds.built < int(match[1]) <= rounds.count
        return f"@{rounds.built}" if left_out or match[1] == "last" else match[0]

    return _ROUND.sub(known, selection) if selection is not None and rounds.built else selection
