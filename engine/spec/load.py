"""The door: a spec's file becomes a `Spec`, or one error that lists everything wrong with it.

The parts are read each on its own and as far as they can be, so that one mistake neither hides another nor makes one.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import Problem, SpecError, did_you_mean
from engine.spec.composer import Keys, dotted
from engine.spec.document import Document
from engine.spec.environment import Reader
from engine.spec.forms import NAME, SPEC_NAME, VERSION, ModelForm, RoundsForm, RunForm, SpecForm
from engine.spec.graph import check_cycles, read_sql
from engine.spec.handoffs import read_handoffs
from engine.spec.models import check_address, read_model
from engine.spec.nodes import ModelNode, Rounds, RunOptions, Spec, TableNode, TrainedNode
from engine.spec.problems import Problems, once
from engine.spec.rounds import KINDS, read_rounds, unroll
from engine.spec.scope import Head, Scope
from engine.spec.stop_rule import ask_stop_rule, stop_rules, wait_for_stop_rule
from engine.spec.tables import read_table
from engine.spec.trained import read_trained, served_by
from engine.spec.validate import read_form
from engine.spec.values import describe, quoted

VIEWS = frozenset(
    {
        "drops", "rejects", "errors", "calls", "lineage", "row_calls", "builds", "judgements", "tests", "train_metrics",
        "train_steps",
    }
)  # fmt: skip
"""The catalog's own views: no table or model may have such a name."""


def load_spec(path: Path) -> Spec:
    """Read and check a spec.

    Args:
        path: the file, as the user named it: messages repeat it.

    Raises:
        SetwrightError: there is no such file, or it can't be read.
        SpecError: the spec is wrong; everything that is wrong with it is listed.
    """
    return _read(Document.read(path), path, None)


def ended_after(spec: Spec, rounds: int) -> Spec:
    """The spec as it is where its stop rule has ended the rounds: as if it had never counted more of them."""
    return _read(spec.document, spec.file, rounds)


def with_tables(spec: Spec, tables: Mapping[str, Any]) -> Spec:
    """The spec with further tables, as plain values of YAML.

    Raises:
        SpecError: one of them is wrong, or its name is taken.
    """
    for name in tables.keys() & {**spec.tables, **spec.models, **spec.trained}.keys():
        raise SpecError([Problem(spec.document.place(("tables", name), "key"), f"tables.{name}", "the name is taken")])
    return _read(spec.document.with_tables(tables), spec.file, None)


def _read(document: Document, path: Path, built: int | None) -> Spec:
    problems = Problems(document)
    data = document.data if "${" not in document.text else Reader(problems, os.environ).read(document.data)
    form = read_form(SpecForm, data, (), "a spec", problems)
    assert form is not None, "a document is a mapping"
    rounds = read_rounds(form, problems)
    _check_head(form, problems)
    _check_names(form, rounds, problems)
    form, loop = unroll(form, rounds, built, problems)
    run = _read_run(form, problems)
    forms = _model_forms(form, problems)
    heads, models = _read_models(forms, run, path.parent, problems)
    scope = Scope(problems, heads, form.tables or {}, loop)
    trained = _read_trained(forms, run, scope)
    ask_stop_rule(rounds, scope)
    tables = _read_tables(form, scope)
    handoffs = read_handoffs(form, scope)
    if problems.found:
        raise SpecError(once(problems.found))
    return Spec(
        version=1,
        name=str(form.name),
        seed=form.seed or 0,
        description=form.description,
        models=models,
        trained=trained,
        tables=tables,
        handoffs=handoffs,
        rounds=Rounds(loop.count, loop.built, stop_rules(rounds, scope)),
        run=run,
        file=path,
        document=document,
    )


def _check_head(form: SpecForm, problems: Problems) -> None:
    if form.version is None and not form.broken("version"):
        problems.add(("version",), f"missing (write version: {VERSION})")
    elif form.version not in (None, VERSION):
        problems.add(("version",), f"this Setwright reads version {VERSION}, found {describe(form.version)}")
    if form.name is None and not form.broken("name"):
        problems.add(("name",), "missing (a spec needs it)")
    elif form.name is not None and not re.fullmatch(SPEC_NAME, form.name):
        problems.add(("name",), "a name is made of a-z, 0-9, _ and -, and begins with a letter")
    wrong = form.broken("tables") or form.broken("rounds") or problems.reported(("tables",))
    if not form.tables and form.rounds is None and not wrong:
        problems.add(("tables",), "a spec has at least one table")


def _read_run(form: SpecForm, problems: Problems) -> RunOptions:
    if form.run is None:
        return RunOptions()
    run = read_form(RunForm, form.run, ("run",), "run", problems)
    if run is None:
        return RunOptions()
    for name, address in (run.endpoints or {}).items():
        path = ("run", "endpoints", name)
        if name not in (form.models or {}):
            problems.add(path, f"unknown model {quoted(name)}{did_you_mean(name, form.models or {})}", of="key")
        check_address(address, path, problems)
    try:
        shlex.split(run.launch or "")
    except ValueError as e:
        problems.add(("run", "launch"), f"not a command: {e}")
    return RunOptions(**{key: value for key, value in run if value is not None})


def _check_names(form: SpecForm, rounds: RoundsForm | None, problems: Problems) -> None:
    """Tables and models share one namespace, those of rounds and the catalog's views in it."""
    first: dict[str, Keys] = {}
    paths: list[Keys] = [(kind, name) for kind in KINDS for name in getattr(form, kind) or {}]
    paths += [("rounds", kind, name) for kind in KINDS for name in getattr(rounds, kind, None) or {}]
    for path in sorted(paths, key=lambda path: problems.document.place(path, "key")):
        name = str(path[-1])
        if not re.fullmatch(NAME, name):
            problems.add(path, "a name is made of a-z, 0-9 and _, and begins with a letter", of="key")
        elif name in VIEWS:
            problems.add(path, f"{name} is a view of the catalog; take another name", of="key")
        elif name in first:
            problems.add(path, f"the name is taken by {dotted(first[name])}; tables and models share names", of="key")
        first.setdefault(name, path)


def _model_forms(form: SpecForm, problems: Problems) -> dict[str, ModelForm | None]:
    """The models' own keys; None where a model is no mapping."""
    found = {
        name: read_form(ModelForm, data, ("models", name), "a model", problems)
        for name, data in (form.models or {}).items()
    }
    for name, model in found.items():
        if model is not None and model.use is not None and model.train is not None:
            problems.add(("models", name, "train"), "a model has one of use and train, and this one has both", of="key")
    return found


def _read_models(
    forms: Mapping[str, ModelForm | None], run: RunOptions, folder: Path, problems: Problems
) -> tuple[dict[str, Head], dict[str, ModelNode]]:
    """The models that are used, and the heads of all."""
    heads: dict[str, Head] = {}
    nodes: dict[str, ModelNode] = {}
    for name, form in forms.items():
        if form is None:
            heads[name] = Head(None, None)
        elif form.train is None and not form.broken("train"):
            heads[name], node = read_model(name, form, run, folder, problems)
            if node is not None:
                nodes[name] = node
    for name, form in forms.items():
        if form is not None and name not in heads:
            heads[name] = Head(f"train: {form.train}", served_by(name, forms, heads), trained=True)
    return heads, nodes


def _read_trained(forms: Mapping[str, ModelForm | None], run: RunOptions, scope: Scope) -> dict[str, TrainedNode]:
    found = {
        name: read_trained(name, form, run, scope)
        for name, form in forms.items()
        if form is not None and scope.models[name].trained
    }
    return {name: node for name, node in found.items() if node is not None}


def _read_tables(form: SpecForm, scope: Scope) -> dict[str, TableNode]:
    found = {name: read_table(name, data, scope) for name, data in (form.tables or {}).items()}
    read_sql(scope)
    wait_for_stop_rule(scope)
    check_cycles(scope)
    nodes = [node for node in found.values() if node is not None]
    return {
        node.name: replace(node, inputs=scope.tables_of(node.name), names=scope.names.get(node.name, {}))
        for node in nodes
    }
