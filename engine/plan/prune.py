"""The last pass: what the store already holds of each step, and why the rest must be built, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from engine.fingerprint import changes
from engine.plan.steps import Planned, Status
from engine.relation import Relation
from engine.store import Manifest, Store


def prune(store: Store, spec: str, planned: Mapping[str, Planned]) -> dict[str, Planned]:
    """The steps with their status and reasons."""
    identities = {name: step.fingerprint for name, step in planned.items()}
    return {name: _judge(store, spec, step, identities) for name, step in planned.items()}


def last_manifest(store: Store, spec: str, name: str) -> Manifest | None:
    """The manifest of a step's last complete build, whatever its identity was."""
    ref = store.ref(spec, name)
    return None if ref is None else store.manifest(Relation.from_json(ref["relation"]).fingerprint)


def _judge(store: Store, spec: str, step: Planned, identities: Mapping[str, str]) -> Planned:
    if store.manifest(step.fingerprint) is not None:
        return replace(step, status=Status.CACHED)
    last = last_manifest(store, spec, step.name)
    if last is not None and last.facts.get("planned") == step.fingerprint:
        why = f"{last.facts['failed']} rows failed in the last build and are tried again"
        return replace(step, status=Status.PARTIAL, why=(why,))
    done = store.parts_done(step.fingerprint)
    if done:
        return replace(step, status=Status.PARTIAL, why=(f"{done} parts are there from a build that did not end",))
    if (store.workplace(step.fingerprint) / "out").exists():
        return replace(step, status=Status.PARTIAL, why=("a training that did not end goes on",))
    if last is None:
        return replace(step, status=Status.MISSING, why=("never built",))
    return replace(step, status=Status.MISSING, why=tuple(dict.fromkeys(_reasons(step, last, identities))))


def _reasons(step: Planned, last: Manifest, identities: Mapping[str, str]) -> Iterator[str]:
    read = last.payload["inputs"]
    for change in changes({k: v for k, v in last.payload.items() if k != "inputs"}, step.body):
        yield str(change)
    for what, owner in step.inputs.items():
        if what not in read:
            yield f"now reads {what} (of {owner})"
        elif identities[owner] != read[what]:
            yield f"{owner} changed"
    for what in read.keys() - step.inputs.keys():
        yield f"no longer reads {what}"
