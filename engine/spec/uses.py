"""How a table, a score or a trained model uses an operator: its name, its params, the model it asks, its SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.errors import did_you_mean
from engine.needs import MODEL, Role
from engine.operator import Kind, Operator, Params
from engine.registry import operator, operator_names
from engine.spec.composer import Keys
from engine.spec.forms import ScoreForm, TableForm
from engine.spec.scope import Scope, SqlText
from engine.spec.validate import read_own_params
from engine.spec.values import quoted

NOUNS = {Kind.GENERATE: "generator", Kind.SELECT: "selector", Kind.SCORE: "scorer", Kind.TRAIN: "trainer"}


@dataclass(frozen=True)
class Use:
    """An operator, its params where they are right, and the models and side tables that it is given.

    The operator is None where there is none of its name, or where the verb has none.
    """

    operator: Operator | None
    params: Params | None
    models: Mapping[str, str] = field(default_factory=dict)  # role -> model
    sides: Mapping[str, str] = field(default_factory=dict)  # side table -> the spec's table


def read_use(kind: Kind, name: str, form: TableForm | ScoreForm, path: Keys, table: str, scope: Scope) -> Use:
    """The operator `name` as the mapping at `path` uses it."""
    names = operator_names(kind)
    if name not in names:
        scope.problems.add((*path, kind.value), f"unknown {NOUNS[kind]} {quoted(name)}{did_you_mean(name, names)}")
        for model, at in _named(form, path).values():
            scope.is_model(model, at)
        return Use(None, None)
    label = f"{kind}: {name}"
    found = operator(kind, name)
    params = read_own_params(found.params, form, path, label, scope.problems)
    roles = found.roles_of(found.params.model_construct() if params is None else params)
    models = _models(roles, label, form, path, table, scope)
    sides = _sides(found, params, label, form, path, table, scope)
    if params is not None:
        _collect_expressions(found, params, (*path, "params"), table, scope)
    return Use(found, params, models, sides)


def _named(form: TableForm | ScoreForm, path: Keys) -> dict[str, tuple[str, Keys]]:
    """The models that the spec names, by their roles, and where."""
    named = {} if form.model is None else {MODEL: (form.model, (*path, "model"))}
    return named | {role: (model, (*path, "models", role)) for role, model in (form.models or {}).items()}


def _models(
    roles: Mapping[str, Role], label: str, form: TableForm | ScoreForm, path: Keys, table: str, scope: Scope
) -> dict[str, str]:
    """The model of each role; those that the spec leaves out have that of another role."""
    key = "model" if roles.keys() <= {MODEL} else "models"
    other = "models" if key == "model" else "model"
    if getattr(form, other) is not None:
        instead = f"asks several models; name them under models ({', '.join(roles)})"
        if key == "model":
            instead = "asks one model; name it under model" if roles else "asks no model"
        scope.problems.add((*path, other), f"{label} {instead}", of="key")
        return {}
    named = _named(form, path)
    for role in named.keys() - roles.keys():
        wrong = f"has no role {quoted(role)}{did_you_mean(role, roles)}" if roles else "asks no model"
        scope.problems.add(named[role][1], f"{label} {wrong}", of="key")
    found = {}
    for role, wanted in roles.items():
        model = named.get(role) or named.get(wanted.default or role)
        if model is None:
            if not form.broken(key):
                at = (*path, "model") if key == "model" else (*path, "models", role)
                needs = ", ".join(sorted(wanted.needs))
                scope.problems.add(at, f"missing ({label} needs a model that offers {needs})")
        elif _can(wanted, *model, label, table, scope):
            found[role] = model[0]
    return found


def _can(role: Role, model: str, at: Keys, label: str, table: str, scope: Scope) -> bool:
    """Whether there is such a model and it offers what the role needs; it becomes an edge where it is trained."""
    if not scope.is_model(model, at):
        return False
    scope.asks(table, model, at)
    head = scope.models[model]
    lacking = ", ".join(sorted(role.needs - head.backend.offers)) if head.backend is not None else ""
    if lacking:
        scope.problems.add(at, f"models.{model} ({head.label}) does not offer {lacking}, which {label} needs")
    return True


def _sides(
    operator: Operator, params: Params | None, label: str, form: TableForm | ScoreForm, path: Keys, table: str,
    scope: Scope,
) -> dict[str, str]:  # fmt: skip
    """The tables that the spec gives as side tables, by the operator's names of them."""
    given = form.with_ or {}
    for side in given.keys() - operator.sides.keys():
        hint = did_you_mean(side, operator.sides)
        scope.problems.add((*path, "with", side), f"{label} reads no side table {quoted(side)}{hint}", of="key")
    for side, wanted in operator.sides.items():
        if side in given:
            scope.looks_at(table, given[side], (*path, "with", side))
        elif not wanted.optional and not form.broken("with"):
            reads = ", ".join(wanted.reads)
            scope.problems.add((*path, "with", side), f"missing ({label} reads {reads} of such a side table)")
        if wanted.goes_with is not None and params is not None:
            _check_pair(side, wanted.goes_with, side in given, params, path, scope)
    return {side: name for side, name in given.items() if side in operator.sides}


def _check_pair(side: str, param: str, given: bool, params: Params, path: Keys, scope: Scope) -> None:
    """A side table and the parameter that it goes with: one is nothing without the other."""
    if given and getattr(params, param) is None:
        scope.problems.add((*path, "with", side), f"goes with params.{param}, which is not given", of="key")
    elif not given and getattr(params, param) is not None:
        scope.problems.add((*path, "params", param), f"goes with the table {side} under `with`, which is not given")


def _collect_expressions(operator: Operator, params: Params, path: Keys, table: str, scope: Scope) -> None:
    """Expressions that the spec gives; an operator's own defaults are its own business."""
    for name in operator.expressions:
        text = getattr(params, name)
        if name in params.model_fields_set and isinstance(text, str):
            scope.expressions.append(SqlText((*path, name), text, table))
