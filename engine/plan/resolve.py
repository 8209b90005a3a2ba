"""The first pass: a spec's tables become steps, in an order in which each comes after what it reads.

A list in `from` becomes a step of its own (`table.from`), and so do every score (`table.score`) and a table's data
tests (`table.tests`). Nothing is looked at but the spec.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import TopologicalSorter

from engine.operator import Kind
from engine.plan.steps import Step, Verb
from engine.registry import operator
from engine.spec.nodes import ScoreNode, Spec, TableNode


def resolve(spec: Spec) -> list[Step]:
    """All steps of a spec (which `load_spec` has found free of cycles and unknown names)."""
    order = TopologicalSorter({name: table.inputs for name, table in spec.tables.items()}).static_order()
    return [step for name in order for step in _table_steps(spec.tables[name])]


def _table_steps(table: TableNode) -> Iterator[Step]:
    path = ("tables", table.name)
    sources = table.inputs
    if table.verb in ("generate", "select") and len(sources) > 1:
        union = f"{table.name}.from"
        yield Step(union, Verb.UNION, union, sources, (*path, "from"), tags=frozenset(table.tags))
        sources = (union,)
    known = table.verb in ("generate", "select")
    yield Step(
        name=table.name,
        verb=Verb(table.verb),
        table=table.name,
        sources=sources,
        path=path,
        operator=operator(table.verb, str(table.operator)) if known else None,
        params=table.params,
        model=table.model,
        mapping=table.columns,
        text=table.source or table.sql,
        tags=frozenset(table.tags),
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
        model=score.model,
        mapping=score.columns,
        rename=score.rename,
        tags=frozenset(table.tags),
    )
