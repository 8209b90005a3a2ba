"""How a table, a score or a trained model uses an operator: its name, its params, the model it asks, its SQL."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import did_you_mean
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
    """An operator that exists, with its params where they are right."""

    operator: Operator
    params: Params | None


def read_use(kind: Kind, name: str, form: TableForm | ScoreForm, path: Keys, table: str, scope: Scope) -> Use | None:
    """The operator `name` as the mapping at `path` uses it; None where there is no such operator."""
    names = operator_names(kind)
    if name not in names:
        scope.problems.add((*path, kind.value), f"unknown {NOUNS[kind]} {quoted(name)}{did_you_mean(name, names)}")
        if form.model is not None:
            scope.is_model(form.model, (*path, "model"))
        return None
    label = f"{kind}: {name}"
    found = operator(kind, name)
    _check_model(found, label, form, path, table, scope)
    params = read_own_params(found.params, form, path, label, scope.problems)
    if params is not None:
        _collect_expressions(found, params, (*path, "params"), table, scope)
    return Use(found, params)


def _check_model(
    operator: Operator, label: str, form: TableForm | ScoreForm, path: Keys, table: str, scope: Scope
) -> None:
    at = (*path, "model")
    if form.broken("model"):
        return
    if not operator.needs:
        if form.model is not None:
            scope.problems.add(at, f"{label} asks no model", of="key")
    elif form.model is None:
        scope.problems.add(at, f"missing ({label} needs a model that offers {', '.join(sorted(operator.needs))})")
    elif scope.is_model(form.model, at):
        scope.asks(table, form.model, at)
        head = scope.models[form.model]
        lacking = ", ".join(sorted(operator.needs - head.backend.offers)) if head.backend is not None else ""
        if lacking:
            model = f"models.{form.model} ({head.label})"
            scope.problems.add(at, f"{model} does not offer {lacking}, which {label} needs")


def _collect_expressions(operator: Operator, params: Params, path: Keys, table: str, scope: Scope) -> None:
    """Expressions that the spec gives; an operator's own defaults are its own business."""
    for name in operator.expressions:
        text = getattr(params, name)
        if name in params.model_fields_set and isinstance(text, str):
            scope.expressions.append(SqlText((*path, name), text, table))
