"""What is handed to a worker: a `Job` is one step to do, a `Shard` is one part of it as a small record.

A shard goes through the store for its data, so the same record runs on a thread, in a process or on another machine.
How each verb does its work stands in the files beside this one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from engine.bound import BoundModel
from engine.calls import Asker, Gate
from engine.context import StepContext
from engine.model import Backend
from engine.needs import SideTable
from engine.operator import Operator, Params
from engine.plan.steps import Planned
from engine.progress import Progress
from engine.relation import Reader, Relation
from engine.schema import ROW_ID
from engine.stop import Stop
from engine.store import Store

ERRORS = pa.schema([(ROW_ID, pa.string()), ("error", pa.string()), ("transient", pa.bool_())])
"""Rows that an operator could not do; a transient error (a failed model call) is tried again by the next build."""

ROW_CALLS = pa.schema([(ROW_ID, pa.string()), ("call_id", pa.string())])
"""Which model calls stand behind a row."""


class Runner(Protocol):
    """Where shards run (`runners/`)."""

    def map(self, fn: Callable[[Shard], int], shards: Iterable[Shard]) -> AsyncIterator[int]:
        """What `fn` returns for each shard, in any order; stops feeding when the build is stopped."""
        ...


Sides = Mapping[str, tuple[Relation, Mapping[str, str]]]
"""What is read beside the rows: for each side table the table, and the operator's names of its columns."""


def read_sides(store: Store, sides: Sides) -> dict[str, SideTable]:
    """Side tables as an operator holds them."""
    return {side: Reader(store, relation).whole(reads) for side, (relation, reads) in sides.items()}


@dataclass(frozen=True)
class Job:
    """One step to do, under its identity of this run."""

    planned: Planned
    fingerprint: str
    payload: Mapping[str, Any]
    store: Store
    relations: Mapping[str, Relation]  # of each source table
    seed: int
    progress: Progress
    stop: Stop
    asker: Asker | None = None
    models: Mapping[str, Gate] = field(default_factory=dict)  # by the roles in which the operator asks them
    base: Backend | None = None  # of the model that a trainer starts from
    gates: Mapping[str, Gate] = field(default_factory=dict)  # of the models that a trainer's rewards ask
    rows_in_flight: int = 1024

    @property
    def operator(self) -> Operator:
        """The step's operator (the engine's own verbs have none)."""
        assert self.planned.step.operator is not None
        return self.planned.step.operator

    @property
    def source(self) -> Reader:
        """The one table whose rows the step reads."""
        return Reader(self.store, self.relations[self.planned.step.sources[0]])

    @property
    def sides(self) -> dict[str, SideTable]:
        """The side tables, read anew each time."""
        return read_sides(self.store, self._sides())

    def _sides(self) -> Sides:
        step, columns = self.planned.step, self.planned.columns
        return {side: (self.relations[step.sides[side]], read.reads) for side, read in columns.sides.items()}

    def shard(self, part: int) -> Shard:
        """The record of one part."""
        step, columns = self.planned.step, self.planned.columns
        return Shard(
            self.store.home, self.fingerprint, self.relations[step.sources[0]], part, self.operator, step.params,
            columns.reads, columns.writes, step.rename, self.seed, self._sides(),
        )  # fmt: skip


@dataclass(frozen=True)
class Shard:
    """One part of a vector step."""

    home: Path
    fingerprint: str
    relation: Relation
    part: int
    operator: Operator
    params: Params | None
    reads: Mapping[str, str]
    writes: Mapping[str, pa.DataType]
    rename: str | None
    seed: int
    beside: Sides = field(default_factory=dict)

    def sides(self) -> dict[str, SideTable]:
        """The side tables."""
        return read_sides(Store(self.home), self.beside)

    def batch(self) -> pa.Table:
        """The part's rows: row_id and the operator's inputs under the operator's own names."""
        return Reader(Store(self.home), self.relation).batch(self.part, self.reads)


@dataclass
class Result:
    """What a step came to. `failed` are rows whose model calls failed; they make the result incomplete."""

    parts: list[int]
    schema: pa.Schema
    failed: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def incomplete(fingerprint: str) -> str:
    """Where the parts of a result that lacks rows are kept until its identity is known."""
    return f"{fingerprint}-incomplete"


def errors_table(errors: Mapping[str, tuple[str, bool]]) -> pa.Table:
    """`{row_id: (error, transient)}` as the side file of a part."""
    rows = [{ROW_ID: row, "error": text, "transient": transient} for row, (text, transient) in sorted(errors.items())]
    return pa.Table.from_pylist(rows, schema=ERRORS)


Bind = Callable[[str | None], StepContext]
"""Gives the context for a row (or, for None, for a batch)."""


def binder(job: Job) -> Bind:
    """Contexts whose model calls are made in the job's name."""
    sides = job.sides

    def bind(row_id: str | None) -> StepContext:
        assert job.asker is not None
        bound = {role: BoundModel(gate, job.asker, row_id) for role, gate in job.models.items()}
        return StepContext(job.seed, bound, sides)

    return bind
