"""The first pass: a spec's tables and trained models become steps, each after what it stands on.

A list in `from` becomes a step of its own (`table.from`), and so do the rows that a generator without `from` begins
with, every score (`table.score`) and a table's data tests (`table.tests`). Nothing is looked at but the spec.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import TopologicalSorter

from engine.operator import Kind
from engine.plan.rewards import reward_steps
from engine.plan.rounds import in_turn, stop_steps
from engine.plan.steps import Step, Verb
from engine.registry import operator
from engine.spec.nodes import ScoreNode, Spec, TableNode, TrainedNode


def resolve(spec: Spec) -> list[Step]:
    """All steps of a spec (which `load_spec` has found free of cycles and unknown names)."""
    graph = {name: (*table.inputs, *_beside(table), *_trained(spec, table)) for name, table in spec.tables.items()}
    graph |= {name: (*model.data, *_stands_on(spec, model)) for name, model in spec.trained.items()}
    graph = in_turn(spec, graph)
    return [step for name in TopologicalSorter(graph).static_order() for step in _steps(spec, name)]


def _trained(spec: Spec, table: TableNode) -> list[str]:
    """The trained models that a table or its scores ask."""
    return [model for node in _asking(table) for model in node.models.values() if model in spec.trained]


def _beside(table: TableNode) -> list[str]:
    """The side tables that a table or its scores read."""
    return [name for node in _asking(table) for name in node.sides.values()]


def _asking(table: TableNode) -> list[TableNode | ScoreNode]:
    return [table, *table.scores]


def _stands_on(spec: Spec, model: TrainedNode) -> list[str]:
    """The trained models that a training starts from, or whose rewards it follows."""
    named = [model.base, *(name for reward in model.rewards for name in reward.models.values())]
    return [name for name in named if name in spec.trained]


def _steps(spec: Spec, name: str) -> Iterator[Step]:
    if name in spec.trained:
        return _model_steps(spec.trained[name])
    return _table_steps(spec.tables[name]) if name in spec.tables else stop_steps(spec, name)


def _model_steps(model: TrainedNode) -> Iterator[Step]:
    path = ("models", model.name)
    sources, tags = model.data, frozenset(model.tags)
    if len(sources) > 1:
        union = f"{model.name}.from"
        yield Step(union, Verb.UNION, union, sources, (*path, "data"), tags=tags)
        sources = (union,)
    yield Step(
        name=model.name,
        verb=Verb.TRAIN,
        table=model.name,
        sources=sources,
        path=path,
        operator=operator(Kind.TRAIN, model.trainer),
        params=model.params,
        base=model.base,
        mapping=model.columns,
        tags=tags,
        rewards=reward_steps(model),
    )


def handoff_steps(spec: Spec) -> list[Step]:
    """The hand-offs as trainers' steps; no build runs them, but what they read is checked with the rest."""
    return [
        Step(
            name=handoff.name,
            verb=Verb.TRAIN,
            table=handoff.name,
            sources=(handoff.data,),
            path=("handoffs", handoff.name),
            operator=operator(Kind.TRAIN, handoff.trainer),
            params=handoff.params,
            base=handoff.base,
            mapping=handoff.columns,
        )
        for handoff in spec.handoffs.values()
    ]


def _table_steps(table: TableNode) -> Iterator[Step]:
    path = ("tables", table.name)
    sources = table.inputs
    if table.verb in ("generate", "select") and len(sources) > 1:
        union = f"{table.name}.from"
        yield Step(union, Verb.UNION, union, sources, (*path, "from"), tags=frozenset(table.tags))
        sources = (union,)
    known = operator(table.verb, str(table.operator)) if table.verb in ("generate", "select") else None
    begins = known is not None and not sources
    if begins:
        sources = (f"{table.name}.from",)
        yield Step(
            *sources, Verb.ROOTS, *sources, (), path, operator=known, params=table.params, tags=frozenset(table.tags)
        )
    yield Step(
        name=table.name,
        verb=Verb(table.verb),
        table=table.name,
        sources=sources,
        path=path,
        operator=known,
        params=table.params,
        models_by_role=table.models,
        sides=table.sides,
        mapping=table.columns,
        text=table.source or table.sql,
        tags=frozenset(table.tags),
        names=table.names,
        begins=begins,
    )
    for i, score in enumerate(table.scores):
        yield _score_step(table, score, (*path, "scores", i))
    if table.tests:
        name = f"{table.name}.tests"
        yield Step(name, Verb.TEST, table.name, (table.name,), (*path, "tests"), tests=table.tests)


def _score_step(table: TableNode, score: ScoreNode, path: tuple[str | int, ...]) -> Step:
    return Step(
        name=score.name,
        verb=Verb.SCORE,
        table=table.name,
        sources=(table.name,),
        path=path,
        operator=operator(Kind.SCORE, score.operator),
        params=score.params,
        models_by_role=score.models,
        sides=score.sides,
        mapping=score.columns,
        rename=score.rename,
        tags=frozenset(table.tags),
    )
