"""A hand-off: which table, which trainer and which base; it is no node of the graph, and no identity knows of it."""

from __future__ import annotations

import re

from engine.errors import did_you_mean
from engine.operator import Kind
from engine.registry import operator, operator_names
from engine.spec.composer import Keys
from engine.spec.forms import NAME, HandoffForm, SpecForm
from engine.spec.nodes import HandoffNode
from engine.spec.rewards import refuse_rewards
from engine.spec.scope import Scope
from engine.spec.trained import check_weights
from engine.spec.validate import read_form, read_own_params
from engine.spec.values import quoted

NEEDED = {"data": "the table to hand over", "format": "the trainer that reads it", "base": "the model to start from"}


def read_handoffs(form: SpecForm, scope: Scope) -> dict[str, HandoffNode]:
    """The hand-offs of a spec that have no problems of their own."""
    found = {name: _read(name, data, scope) for name, data in (form.handoffs or {}).items()}
    return {name: node for name, node in found.items() if node is not None}


def _read(name: str, data: object, scope: Scope) -> HandoffNode | None:
    path: Keys = ("handoffs", name)
    if not re.fullmatch(NAME, name):
        scope.problems.add(path, "a name is made of a-z, 0-9 and _, and begins with a letter", of="key")
    form = read_form(HandoffForm, data, path, "a hand-off", scope.problems)
    if form is None:
        return None
    for key, what in NEEDED.items():
        if getattr(form, key) is None and not form.broken(key):
            scope.problems.add((*path, key), f"missing (a hand-off names {what})")
    if form.data is not None:
        scope.is_table(form.data, (*path, "data"))
    label = f"train: {form.format}"
    if form.base is not None and scope.is_model(form.base, (*path, "base")):
        check_weights(form.base, label, (*path, "base"), scope)
    if form.format is None:
        return None
    names = operator_names(Kind.TRAIN)
    if form.format not in names:
        hint = did_you_mean(form.format, names)
        scope.problems.add((*path, "format"), f"unknown trainer {quoted(form.format)}{hint}")
        return None
    params = read_own_params(operator(Kind.TRAIN, form.format).params, form, path, label, scope.problems)
    refuse_rewards(form, path, scope)
    if params is None or form.data is None or form.base is None:
        return None
    return HandoffNode(name, form.format, form.base, form.data, params, form.columns or {})
