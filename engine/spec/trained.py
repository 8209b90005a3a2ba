"""A model that is trained: its trainer, the model that it starts from, and the tables of its rows."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import did_you_mean
from engine.model import Backend
from engine.operator import Kind
from engine.registry import operator, operator_names
from engine.spec.composer import Keys
from engine.spec.forms import ModelForm
from engine.spec.nodes import RunOptions, TrainedNode
from engine.spec.rewards import read_rewards
from engine.spec.scope import Head, Scope
from engine.spec.validate import read_own_params
from engine.spec.values import quoted


def served_by(name: str, forms: Mapping[str, ModelForm | None], heads: Mapping[str, Head]) -> type[Backend] | None:
    """The class of backend that serves a trained model: that of the model at the end of its chain of bases."""
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        form = forms.get(name)
        if form is None:
            return None
        if form.train is None:
            return heads[name].backend if name in heads else None
        name = form.base or ""
    return None


def read_trained(name: str, form: ModelForm, run: RunOptions, scope: Scope) -> TrainedNode | None:
    """A trained model, None where it has problems of its own."""
    path: Keys = ("models", name)
    scope.edges[name] = {}
    if form.train is None:
        return None
    label = f"train: {form.train}"
    _check_keys(name, form, label, path, run, scope)
    _read_base(name, form, label, path, scope)
    if form.data is None and not form.broken("data"):
        scope.problems.add((*path, "data"), f"missing ({label} reads the rows of a table)")
    scope.reads(name, form.data or (), (*path, "data"))
    names = operator_names(Kind.TRAIN)
    if form.train not in names:
        hint = did_you_mean(form.train, names)
        scope.problems.add((*path, "train"), f"unknown trainer {quoted(form.train)}{hint}")
        return None
    params = read_own_params(operator(Kind.TRAIN, form.train).params, form, path, label, scope.problems)
    rewards = read_rewards(name, form, path, scope)
    if params is None or form.base is None:
        return None
    data = tuple(table for table in scope.edges[name] if table in scope.tables)
    about = (form.description, tuple(form.tags or ()), form.owner)
    return TrainedNode(name, form.train, form.base, data, params, form.columns or {}, rewards, *about)


def _check_keys(name: str, form: ModelForm, label: str, path: Keys, run: RunOptions, scope: Scope) -> None:
    """What only a model that is used takes."""
    for key in ("model", "revision", "base_url", "api_key"):
        if getattr(form, key) is not None and form.use is None:
            scope.problems.add((*path, key), f"{label} takes no {key}; its base has one", of="key")
    if name in run.endpoints:
        scope.problems.add(("run", "endpoints", name), "a trained model is served in this process", of="key")


def _read_base(name: str, form: ModelForm, label: str, path: Keys, scope: Scope) -> None:
    """The model to start from: one whose weights are at hand, or a trained one, which is an edge of the graph."""
    at = (*path, "base")
    if form.base is None:
        if not form.broken("base"):
            scope.problems.add(at, f"missing ({label} starts from a model)")
        return
    if scope.is_model(form.base, at):
        scope.asks(name, form.base, at)
        check_weights(form.base, label, at, scope)


def check_weights(base: str, label: str, path: Keys, scope: Scope) -> None:
    """Whether a model's weights are where a trainer can reach them; a problem at `path` where they aren't."""
    head = scope.models[base]
    if head.backend is not None and head.backend.weights is Backend.weights:
        scope.problems.add(path, f"models.{base} ({head.label}) has no weights at hand, which {label} starts from")
