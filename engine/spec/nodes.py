"""The typed spec: what everything downstream works with. Nothing in it is unchecked, and nothing of it changes.

Names are what the spec calls things; identities are made elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.errors import Place, Problem
from engine.model import ModelConfig
from engine.operator import Params
from engine.spec.composer import Keys, dotted
from engine.spec.data_tests import TestArguments
from engine.spec.document import Document, Part

Verb = Literal["source", "generate", "select", "sql"]
Severity = Literal["error", "warn"]


@dataclass(frozen=True)
class ModelNode:
    """A model: the backend that `use:` names and what that backend is given."""

    name: str
    use: str
    config: ModelConfig
    description: str | None = None
    tags: tuple[str, ...] = ()
    owner: str | None = None


@dataclass(frozen=True)
class RewardNode:
    """A reward that the build gives while a trainer runs, the `index`-th of its `rewards`.

    Without an operator it is the expression `sql` over an answer's columns; with one, `sql` is over the scorer's
    columns, too, and None where it has a single one.
    """

    name: str
    index: int
    sql: str | None
    operator: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)  # role -> model
    params: Params | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainedNode:
    """A model that a trainer makes of a base, which may be a trained model itself, and of the rows of tables."""

    name: str
    trainer: str
    base: str
    data: tuple[str, ...]
    params: Params
    columns: Mapping[str, str]
    rewards: tuple[RewardNode, ...] = ()
    description: str | None = None
    tags: tuple[str, ...] = ()
    owner: str | None = None


@dataclass(frozen=True)
class HandoffNode:
    """A table for a trainer elsewhere, which is to start from `base`; it is written on demand and no node to build."""

    name: str
    trainer: str
    base: str
    data: str
    params: Params
    columns: Mapping[str, str]


@dataclass(frozen=True)
class ScoreNode:
    """A score of a table; `name` is `table.score`, and `rename` is the spec's `as:`."""

    name: str
    table: str
    operator: str
    models: Mapping[str, str]  # role -> model
    sides: Mapping[str, str]  # side table -> the spec's table
    params: Params
    columns: Mapping[str, str]
    rename: str | None = None


@dataclass(frozen=True)
class DataTest:
    """A data test of a table; `path` is where it stands in the spec."""

    name: str
    args: TestArguments
    severity: Severity
    path: Keys

    @property
    def label(self) -> str:
        """`unique(row_id)`, `rows(min=100)`: unlike that of any other test of the table."""
        return f"{self.name}({self.args})"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the test names."""
        return self.args.columns


@dataclass(frozen=True)
class TableNode:
    """A table. `operator` and `params` belong to generate and select; a source has params alone, a query neither.

    `inputs` are the tables that it reads, each once: those of `from` in their order, or those that the query names.
    `names` says what a query calls them, where that is not the table's name; of all rounds, the first comes first.
    """

    name: str
    verb: Verb
    operator: str | None = None
    source: str | None = None
    sql: str | None = None
    inputs: tuple[str, ...] = ()
    names: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)  # role -> model
    sides: Mapping[str, str] = field(default_factory=dict)  # side table -> the spec's table
    params: Params | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    scores: tuple[ScoreNode, ...] = ()
    tests: tuple[DataTest, ...] = ()
    description: str | None = None
    tags: tuple[str, ...] = ()
    owner: str | None = None


@dataclass(frozen=True)
class StopRule:
    """The question whether rounds follow another, as a step after it; `inputs` and `names` are as of a table."""

    name: str
    sql: str
    inputs: tuple[str, ...]
    names: Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class Rounds:
    """The rounds of a spec: `built` of `count` are among its nodes, fewer where the stop rule has ended them.

    `stop_rules` ask after each of them but the last that may be.
    """

    count: int = 0
    built: int = 0
    stop_rules: tuple[StopRule, ...] = ()


@dataclass(frozen=True)
class RunOptions:
    """How to run. Never part of a fingerprint. `endpoints` replaces the base_url of the models that it names.

    `launch` is the command that starts a trainer's module, this Python where it is None.
    """

    runner: Literal["local"] = "local"
    workers: int | None = None
    concurrency: int = 256
    launch: str | None = None
    endpoints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spec:
    """A spec without errors."""

    version: Literal[1]
    name: str
    seed: int
    description: str | None
    models: Mapping[str, ModelNode]
    trained: Mapping[str, TrainedNode]
    tables: Mapping[str, TableNode]
    handoffs: Mapping[str, HandoffNode]
    rounds: Rounds
    run: RunOptions
    file: Path
    document: Document = field(repr=False)

    def place(self, path: Keys, of: Part = "value") -> Place:
        """Where a key or value stands in the spec's file; see `Document.place`."""
        return self.document.place(path, of)

    def problem(self, path: Keys, message: str, of: Part = "value") -> Problem:
        """A problem that is found only after the spec was loaded, with a key or value of its file."""
        return Problem(self.place(path, of), dotted(self.document.as_written(path)), message)
