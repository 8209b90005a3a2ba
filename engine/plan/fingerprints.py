"""The third pass: the identity of each step, from what it does and the identities of what it reads.

A step depends on the steps that own the columns it reads, not on tables: changing one score leaves its siblings as
they are. Names of tables and models, paths, addresses and run options never enter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.fingerprint import fingerprint
from engine.model import Backend
from engine.names import STOP_RULE
from engine.needs import MODEL
from engine.plan.rewards import classifiers, models_body, reward_bodies
from engine.plan.steps import Columns, Planned, Step, Verb
from engine.spec.nodes import Spec

VERSIONS = dict.fromkeys((Verb.SOURCE, Verb.SQL, Verb.UNION, Verb.TEST, Verb.ROOTS, Verb.UNTIL), 1)
"""Versions of the engine's own verbs; raised when their results change for the same payload."""


def identify(
    spec: Spec,
    steps: Sequence[Step],
    columns: Mapping[str, Columns],
    backends: Mapping[str, Backend],
    data: Mapping[str, dict[str, Any]],
) -> dict[str, Planned]:
    """Every step with its payload and fingerprint.

    Args:
        spec: the spec.
        steps: its steps in their order.
        columns: of each step.
        backends: of each model; of a trained one, the backend of the base that all began with.
        data: what each source and roots step begins with.
    """
    names = {step.name for step in steps}
    scores: dict[str, list[Step]] = {}
    for step in steps:
        if step.verb is Verb.SCORE:
            scores.setdefault(step.table, []).append(step)
    found: dict[str, Planned] = {}
    identities: dict[str, str] = {}
    for step in steps:
        inputs = _inputs(step, columns[step.name]) | _models(step, names)
        planned = Planned(
            step=step,
            columns=columns[step.name],
            body=_body(spec, step, columns[step.name], backends, data.get(step.name)) | _base(step, backends, names),
            inputs=inputs,
            scores=tuple(s.name for s in scores.get(step.name, ())),
            needs=_needs(step, inputs, names),
            fingerprint="",
        )
        identities[step.name] = fingerprint(planned.payload(identities))
        found[step.name] = replace(planned, fingerprint=identities[step.name])
    return found


def _body(
    spec: Spec, step: Step, columns: Columns, backends: Mapping[str, Backend], data: dict[str, Any] | None
) -> dict[str, Any]:
    match step.verb:
        case Verb.SOURCE:
            return _source_body(step, data or {})
        case Verb.SQL | Verb.UNTIL:
            return {"operator": str(step.verb), "version": VERSIONS[step.verb], "query": step.text}
        case Verb.UNION:
            return {"operator": "union", "version": VERSIONS[step.verb]}
        case Verb.TEST:
            tests = [
                {"name": t.name, "args": t.args.model_dump(mode="json"), "severity": t.severity} for t in step.tests
            ]
            return {"operator": "tests", "version": VERSIONS[step.verb], "tests": tests}
        case Verb.ROOTS:
            return {"operator": "roots", "version": VERSIONS[step.verb], **(data or {})}
    operator = step.operator
    assert operator is not None
    body: dict[str, Any] = {
        "operator": f"{operator.kind}/{operator.name}",
        "version": operator.version,
        "params": _params(step),
        "reads": dict(columns.reads),
    }
    if operator.seeded:
        body["seed"] = step.seed(spec.seed)
    body |= models_body(step, {model: _asked(backends[model]) for model in step.models_by_role.values()})
    if columns.sides:
        body["with"] = {side: dict(read.reads) for side, read in columns.sides.items()}
    if step.rename is not None:
        body["as"] = step.rename
    if getattr(step.params, "rewards", ()):
        body["rewards"] = _rewards(spec, step, columns, backends)
    return body


def _asked(backend: Backend) -> dict[str, Any]:
    return {"identity": backend.identity(), "sampling": backend.sampling.model_dump(mode="json")}


def _rewards(spec: Spec, step: Step, columns: Columns, backends: Mapping[str, Backend]) -> dict[str, Any]:
    """What a trainer's rewards are made of, besides what its params say."""
    models = {model: _asked(backends[model]) for reward in step.rewards for model in reward.models}
    own = {reward.name: {"weights": place.identity()} for reward, place in classifiers(step.params, spec.file.parent)}
    return {**own, **reward_bodies(step, columns, models)}


def _models(step: Step, names: set[str]) -> dict[str, str]:
    """The trained models that a step asks or starts from: steps whose identities are bound as those of tables are."""
    found = {_role(role): model for role, model in step.models_by_role.items()}
    for reward in step.rewards:
        found |= {f"rewards.{reward.name}.{_role(role)}": model for role, model in reward.models_by_role.items()}
    if step.base is not None:
        found["base"] = step.base
    return {what: model for what, model in found.items() if model in names}


def _role(role: str) -> str:
    return role if role == MODEL else f"models.{role}"


def _base(step: Step, backends: Mapping[str, Backend], names: set[str]) -> dict[str, Any]:
    """What training starts from, where that is no trained model: how a base draws its replies is no part of it."""
    if step.base is None or step.base in names:
        return {}
    return {"base": {key: value for key, value in backends[step.base].identity().items() if key != "sampling"}}


def source_payload(step: Step, data: Mapping[str, Any]) -> dict[str, Any]:
    """What is hashed for a source: known before any column is."""
    return {**_source_body(step, data), "inputs": {}}


def _source_body(step: Step, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"operator": "source", "version": VERSIONS[Verb.SOURCE], "params": _params(step), "data": dict(data)}


def _params(step: Step) -> dict[str, Any]:
    return {} if step.params is None else step.params.model_dump(mode="json")


def _inputs(step: Step, columns: Columns) -> dict[str, str]:
    """What is read -> the step that decides it. A column of the same step as the rows is covered by the rows."""
    inputs: dict[str, str] = {}
    for side, read in columns.sides.items():
        inputs |= {f"with.{side}.{what}": owner for what, owner in _rows_of(step.sides[side], read.owners).items()}
    queries = step.verb in (Verb.SQL, Verb.UNTIL)
    if len(step.sources) == 1 and not queries:
        return inputs | _rows_of(step.sources[0], columns.owners)
    tables = step.read_names() if queries else zip(step.sources, step.sources, strict=True)
    for i, (name, table) in enumerate(tables):
        label = name if queries else str(i)  # a query names its tables, a union only orders them
        inputs[f"{label}.rows"] = table
        for column, owner in columns.owners.items():
            if column.startswith(f"{name}.") and owner != table:
                inputs[f"{label}.columns.{column.removeprefix(f'{name}.')}"] = owner
    return inputs


def _rows_of(table: str, owners: Mapping[str, str]) -> dict[str, str]:
    return {"rows": table} | {f"columns.{name}": owner for name, owner in owners.items() if owner != table}


def _needs(step: Step, inputs: Mapping[str, str], names: set[str]) -> tuple[str, ...]:
    """The steps that it reads, the tests of other tables that it stands on, and in a round the question before it.

    A failed test stops what follows.
    """
    gates = [f"{table}.tests" for table in (*step.sources, *step.sides.values()) if table != step.table]
    gates += [] if step.round is None else [f"{STOP_RULE}@{step.round - 1}"]
    return tuple(dict.fromkeys([*inputs.values(), *(gate for gate in gates if gate in names)]))
