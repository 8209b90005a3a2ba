"""Impartial roles in a plan: no model judges rows that it has written itself, by whatever name the spec calls it.

A table's rows are written by the generators that it comes from, through selections, queries, lists and rounds. Which
authors a source names in a column is not seen here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.fingerprint import fingerprint
from engine.needs import MODEL, Role
from engine.plan.steps import Step, Verb
from engine.request import Capability

if TYPE_CHECKING:
    from engine.plan.columns import ColumnsPass

WRITES = frozenset({Capability.CHAT, Capability.GENERATE})
"""What a model must be asked for, to write something."""


def check_impartial(walk: ColumnsPass, steps: Sequence[Step]) -> None:
    """Note every judge of a plan that has written rows before it.

    Two models are the same where their identities are; a trained model is none but itself.

    Args:
        walk: where problems are noted, and the backends are known.
        steps: those of the plan, in their order.
    """
    by_name = {step.name: step for step in steps}
    for step in steps:
        for role, found in _roles(step).items():
            if found.impartial:
                _check(walk, step, role, by_name)


def _check(walk: ColumnsPass, step: Step, role: str, steps: Mapping[str, Step]) -> None:
    judge = step.models_by_role[role]
    known = _identity(walk, judge)
    for generate, writer in _writers(step, steps, set()):
        if _identity(walk, writer) == known:
            same = "" if writer == judge else f" (the same as {judge})"
            wrong = f"{step.label} is impartial, and {writer}{same} wrote rows of {generate.name} ({generate.label})"
            at = ("model",) if role == MODEL else ("models", role)
            walk.problem(step, at, f"{wrong}: give it another model, or params.allow_self: true")
            return


def _writers(step: Step, steps: Mapping[str, Step], seen: set[str]) -> Iterator[tuple[Step, str]]:
    """The generators that a step's rows come from, with each model that writes there."""
    for name in step.sources:
        source = steps[name]
        if name in seen:
            continue
        seen.add(name)
        if source.verb is Verb.GENERATE:
            for role, found in _roles(source).items():
                if found.needs & WRITES and not found.impartial:
                    yield source, source.models_by_role[role]
        yield from _writers(source, steps, seen)


def _roles(step: Step) -> Mapping[str, Role]:
    return {} if step.operator is None else step.operator.roles_of(step.params)


def _identity(walk: ColumnsPass, model: str) -> str:
    """The model's, of a trained one its name: no weights are known before they are there."""
    return model if model in walk.spec.trained else fingerprint(walk.backends[model].identity())
