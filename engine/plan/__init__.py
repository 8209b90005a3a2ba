"""The planner: a row of pure passes from a spec to a `Plan`.

    resolve       tables, scores, lists and tests become steps in order
    columns       what each step reads and writes; every mistake in one go
    fingerprints  what each step is
    prune         what the store holds of it, and why the rest must be built
    estimate      the rows and model calls that this takes

Nothing is built and no model is started. `make_plan` is the only way in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine import sourcing
from engine.errors import SetwrightError, SpecError
from engine.fingerprint import fingerprint
from engine.ledger import Ledger
from engine.model import Backend
from engine.plan.columns import ColumnsPass
from engine.plan.estimate import estimate
from engine.plan.files import FileHashes
from engine.plan.fingerprints import identify, source_payload
from engine.plan.impartial import check_impartial
from engine.plan.prune import prune
from engine.plan.resolve import handoff_steps, resolve
from engine.plan.roots import roots_data
from engine.plan.rounds import as_built, ended
from engine.plan.steps import Plan, Planned, Status, Step, Verb
from engine.plan.trained import root_of, serve
from engine.registry import backend
from engine.spec.load import ended_after
from engine.spec.nodes import Spec
from engine.spec.problems import once
from engine.spec.selection import select
from engine.store import Store


def make_plan(
    spec: Spec, store: Store, *, selection: str | None = None, limit: int | None = None, ledger: Ledger | None = None
) -> Plan:
    """Plan a build.

    Args:
        spec: what `load_spec` gave.
        store: where earlier builds left their objects.
        selection: dbt's selection language; None selects everything.
        limit: rows of each source, and of each table that begins with none, at most (it enters their identity).
        ledger: if given, model calls are counted against it.

    Raises:
        SpecError: columns, types or queries are wrong; every problem is listed.
        SetwrightError: a source can't be found, or the selection names no node.
    """
    plan = _judged(spec, store, limit)
    last = ended(plan.steps, store)
    if last is not None and last < spec.rounds.built:
        plan = _judged(ended_after(spec, last), store, limit)
    spec, planned = plan.spec, _selected(plan.steps, as_built(selection, plan.spec))
    roots = {name: plan.backends[root_of(spec, name)] for name in spec.trained}
    backends = {**plan.backends, **{n: serve(n, root, store, planned[n].fingerprint) for n, root in roots.items()}}
    return replace(plan, steps=estimate(spec, store, planned, backends, ledger), backends=backends)


def _judged(spec: Spec, store: Store, limit: int | None) -> Plan:
    """The plan without estimates and without the backends of trained models, and as if all were selected."""
    steps = resolve(spec)
    backends: dict[str, Backend] = {name: backend(node.use)(node.config) for name, node in spec.models.items()}
    served = backends | {name: backends[root_of(spec, name)] for name in spec.trained}
    data = _source_data(spec, store, steps, limit)
    walk = ColumnsPass(spec, served, lambda step: _source_schema(spec, store, step, data[step.name]))
    columns = walk.run(steps)
    check_impartial(walk, steps)
    handed_over = walk.handed_over(handoff_steps(spec))
    if walk.problems:
        raise SpecError(once(walk.problems))
    planned = prune(store, spec.name, identify(spec, steps, columns, served, data))
    return Plan(spec, planned, backends, handed_over, limit)


def _source_data(spec: Spec, store: Store, steps: list[Step], limit: int | None) -> dict[str, dict[str, Any]]:
    """The identity of what each source or roots step begins with; every source that can't be found is reported."""
    hashes = FileHashes(store.home)
    found, missing = {}, []
    for step in steps:
        if step.verb is Verb.ROOTS:
            found[step.name] = roots_data(step, limit)
        elif step.verb is Verb.SOURCE:
            try:
                found[step.name] = dict(sourcing.identity(*_source(spec, step), hashes))
            except SetwrightError as e:
                missing.append(spec.problem((*step.path, "source"), str(e)))
            else:
                if limit is not None:
                    found[step.name]["limit"] = limit
    hashes.save()
    if missing:
        raise SpecError(missing)
    return found


def _source_schema(spec: Spec, store: Store, step: Step, data: Mapping[str, Any]) -> pa.Schema:
    """A source's columns: as they were built, or as the first records show."""
    done = store.side_files(fingerprint(source_payload(step, data)), "part")
    if done and store.manifest(done[0].parent.name) is not None:
        return pq.read_schema(done[0])
    return sourcing.peek(*_source(spec, step))


def _source(spec: Spec, step: Step) -> tuple[sourcing.Source, sourcing.SourceParams]:
    assert step.text is not None
    assert isinstance(step.params, sourcing.SourceParams)
    return sourcing.resolve(step.text, spec.file.parent), step.params


def _selected(planned: Mapping[str, Planned], selection: str | None) -> dict[str, Planned]:
    """Switch off what the selection leaves out; a table's list, scores and tests go with it."""
    if selection is None:
        return dict(planned)
    graph = {name: step.needs for name, step in planned.items()}
    chosen = select(selection, graph, {name: step.step.tags for name, step in planned.items()})
    chosen |= {
        name for name, step in planned.items() if step.step.table in chosen or name.removesuffix(".from") in chosen
    }
    off = {
        name: replace(s, status=Status.OFF)
        for name, s in planned.items()
        if name not in chosen and s.status is not Status.CACHED
    }
    return {**planned, **off}


__all__ = ["Backend", "Plan", "Planned", "Status", "Step", "Verb", "make_plan"]
