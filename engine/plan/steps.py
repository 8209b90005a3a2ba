"""A plan is data: the steps of a build in their order, each with its identity, its state and the reason for it.

Running, explaining and pruning all walk these dataclasses, so a plan can't say one thing and the build do another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa

from engine.draws import draw
from engine.model import Backend
from engine.names import ROUND, round_of
from engine.operator import Kind, Operator, Params
from engine.plan.spans import NOTHING, UNKNOWN, Span, total
from engine.relation import Relation
from engine.spec.nodes import DataTest, Spec


class Verb(StrEnum):
    """What a step does: the operators' kinds, and the engine's own."""

    SOURCE = Kind.SOURCE.value
    GENERATE = Kind.GENERATE.value
    SCORE = Kind.SCORE.value
    SELECT = Kind.SELECT.value
    SQL = "sql"
    UNION = "union"  # the rows of several tables, for a `from` that is a list
    ROOTS = "roots"  # rows that have nothing but an id, for a generator that needs no `from`
    TEST = "test"  # the data tests of a table
    TRAIN = Kind.TRAIN.value
    UNTIL = "until"  # whether more rounds follow


class Status(StrEnum):
    """What the store holds of a step."""

    CACHED = "cached"
    PARTIAL = "partial"
    MISSING = "missing"
    OFF = "not selected"


@dataclass(frozen=True)
class Step:
    """One node to build. `name` is a table's or trained model's name, or `table.score`, `table.from`, `table.tests`.

    `table` is the table that the step belongs to, `sources` are the tables whose rows it reads (for a score and for
    tests: the table itself). `path` is where it stands in the spec, for messages.
    """

    name: str
    verb: Verb
    table: str
    sources: tuple[str, ...]
    path: tuple[str | int, ...]
    operator: Operator | None = None
    params: Params | None = None
    models_by_role: Mapping[str, str] = field(default_factory=dict)
    sides: Mapping[str, str] = field(default_factory=dict)  # side table -> the table that is read as a whole
    base: str | None = None  # the model that a trainer starts from
    mapping: Mapping[str, str] = field(default_factory=dict)  # the spec's `columns:`
    rename: str | None = None  # a score's `as:`
    text: str | None = None  # the path of a source, the query of a sql table
    tests: tuple[DataTest, ...] = ()
    tags: frozenset[str] = frozenset()
    names: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)  # what a query calls its sources
    begins: bool = False  # a generator without `from`: its rows have no parents
    rewards: tuple[Step, ...] = ()  # what the build gives a trainer as it runs; no steps of the plan, see `rewards`

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are asked, each once."""
        asked = [*self.models_by_role.values(), *(name for reward in self.rewards for name in reward.models)]
        return tuple(dict.fromkeys(asked))

    @property
    def round(self) -> int | None:
        """The round that it belongs to; None outside of rounds."""
        return round_of(self.name)

    def seed(self, seed: int) -> int:
        """The seed of its draws, from the spec's: another one in each round, whatever number of rounds there is."""
        return seed if self.round is None else draw(seed, ROUND, self.round) >> 32  # 31 bits: any library takes them

    @property
    def maker(self) -> str:
        """The operator's name as it enters the ids of the rows that it makes: a row of each round is another one."""
        assert self.operator is not None
        return self.operator.name if self.round is None else f"{self.operator.name}@{self.round}"

    def read_names(self) -> Iterator[tuple[str, str]]:
        """What a query reads: each table, after its name there, which of all rounds is told by its number."""
        for name, nodes in self.names.items():
            if isinstance(nodes, str):
                yield name, nodes
            else:
                yield from ((f"{name}@{number}", node) for number, node in enumerate(nodes, start=1))

    @property
    def label(self) -> str:
        """`select: deita`, `source: data.jsonl`, `sql`."""
        if self.operator is not None:
            return f"{self.operator.kind}: {self.operator.name}"
        return f"source: {self.text}" if self.verb is Verb.SOURCE else str(self.verb)


@dataclass(frozen=True)
class Columns:
    """What the columns pass finds out about a step.

    `reads` maps an operator's input to the table's column, `expressions` a parameter to its SQL, and `owners` every
    column that is read (as `table.column` where there are several tables) to the step that owns it. `writes` are the
    step's own new columns, `sides` what is read of each side table and who owns that, and `rewards` the columns of each
    reward that the build gives a trainer.
    """

    reads: Mapping[str, str] = field(default_factory=dict)
    expressions: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, pa.DataType] = field(default_factory=dict)
    sides: Mapping[str, Columns] = field(default_factory=dict)
    rewards: Mapping[str, Columns] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """Rows that a step will read, calls that it will make, and their tokens; spans that are to hold the truth."""

    rows: Span = UNKNOWN
    calls: Span = NOTHING
    tokens_in: Span = NOTHING
    tokens_out: Span = NOTHING

    @property
    def exact(self) -> bool:
        """Whether rows and calls are counts."""
        return self.rows.exact and self.calls.exact


ASKED = ("calls", "tokens_in", "tokens_out")
"""What of an estimate is summed over steps."""


@dataclass(frozen=True)
class Planned:
    """A step with its columns, its identity, and what the store holds of it.

    `body` is the payload but for its inputs; `inputs` names the steps whose identities complete it. They are bound
    again at run time, since a step with failed rows has another identity than the plan foresaw.
    """

    step: Step
    columns: Columns
    body: Mapping[str, Any]
    inputs: Mapping[str, str]  # what is read (`rows`, a column) -> the step that decides it
    scores: tuple[str, ...]  # the score steps of a table's own step
    needs: tuple[str, ...]  # steps that must be done before it: its inputs, and the tests of the tables it reads
    fingerprint: str
    status: Status = Status.MISSING
    why: tuple[str, ...] = ()
    estimate: Estimate = field(default_factory=Estimate)

    @property
    def name(self) -> str:
        """The step's name."""
        return self.step.name

    def payload(self, identities: Mapping[str, str]) -> dict[str, Any]:
        """What is hashed, for given identities of the steps that it reads."""
        return {**self.body, "inputs": {what: identities[step] for what, step in self.inputs.items()}}


def relation_of(steps: Mapping[str, Planned], identities: Mapping[str, str], table: str) -> Relation:
    """A table as it stands: its rows or verdicts, and those of its scores that have an identity."""
    scores = tuple((name, identities[name]) for name in steps[table].scores if name in identities)
    step = steps[table].step
    parent = relation_of(steps, identities, step.sources[0]) if step.verb is Verb.SELECT else None
    return Relation(identities[table], scores, parent)


@dataclass(frozen=True)
class Plan:
    """All steps of a spec in an order in which each comes after what it needs.

    `handed_over` maps, for each hand-off, what its trainer reads to the table's column.
    """

    spec: Spec
    steps: Mapping[str, Planned]
    backends: Mapping[str, Backend]
    handed_over: Mapping[str, Mapping[str, str]]
    limit: int | None = None  # rows of each source at most

    @property
    def total(self) -> tuple[Span, Span, Span]:
        """Calls, tokens in and tokens out of all steps."""
        sums = [total(getattr(s.estimate, what) for s in self.steps.values()) for what in ASKED]
        return sums[0], sums[1], sums[2]

    def pending(self) -> list[Planned]:
        """The steps that a build will run."""
        return [s for s in self.steps.values() if s.status in (Status.PARTIAL, Status.MISSING)]
