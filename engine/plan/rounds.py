"""Rounds in a plan: each begins once the stop rule has let the one before it go on, and none follows where it says so.

A spec whose rounds are known to have ended is planned as one that never counted more of them. So the tables that read
the last round, or all, have the same identities as if they had.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pyarrow as pa

from engine.names import all_rounds, round_of
from engine.plan.sql import result_schema
from engine.plan.steps import Planned, Step, Verb
from engine.plan.views import View, schema_of
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


def schemas_read(step: Step, views: Mapping[str, View]) -> dict[str, pa.Schema]:
    """The columns of what a query reads, by the names that it has for it.

    Raises:
        duckdb.Error: a column has types in several rounds that don't go together.
    """
    found = {}
    for name, nodes in step.names.items():
        if isinstance(nodes, str):
            found[name] = schema_of(views[nodes])
        else:
            together = all_rounds((number, f'FROM "{node}"') for number, node in enumerate(nodes, start=1))
            found[name] = result_schema(together, {node: schema_of(views[node]) for node in nodes})
    return found


def wrong_answer(schema: pa.Schema) -> str:
    """Why a query is no stop rule; nothing where it is one."""
    if len(schema) == 1 and pa.types.is_boolean(schema.field(0).type):
        return ""
    given = ", ".join(f"{field.name} ({field.type})" for field in schema)
    return f"a stop rule gives one boolean, and this gives {given}"


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
    last = spec.rounds.built
    if selection is None or not last:
        return selection
    return _ROUND.sub(lambda m: f"@{last if m[1] == 'last' else min(int(m[1]), last)}", selection)
