"""What an operator is: a function, the columns it reads and writes, its parameters and its kind.

An operator's file sees this module, `schema`, `model` and `errors`, and nothing else of the engine. Its name is its
file's name, its kind is its folder; `registry` finds it there.

Two forms (design, section 7), told apart by the name of the first argument:

    def fn(batch: pa.Table, params, ctx) -> pa.Table             vector work on a whole batch (may be `async def`)
    async def fn(row: Row, params, ctx) -> dict | list[dict]     a dialogue with a model, row by row
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from engine.model import Model
from engine.request import Capability
from engine.schema import ColumnType

Row = dict[str, Any]
"""The columns that a row operator reads, under the operator's own names, and `row_id`."""


class Kind(StrEnum):
    """The verb of the spec; its laws are checked on every part that is written (`laws`)."""

    SOURCE = "source"
    GENERATE = "generate"
    SCORE = "score"
    SELECT = "select"
    TRAIN = "train"


FOLDERS = {
    Kind.SOURCE: "sources",
    Kind.GENERATE: "generators",
    Kind.SCORE: "scorers",
    Kind.SELECT: "selectors",
    Kind.TRAIN: "trainers",
}


class Params(BaseModel):
    """Base of every operator's parameters: strict types, no unknown names, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True)
class Reads:
    """A column that an operator reads.

    `default` names the table's columns tried in order where the spec's `columns:` names none; empty means that the
    column has the operator's own name. An optional column that is absent is not in the batch or row.
    """

    type: ColumnType
    default: tuple[str, ...] = ()
    optional: bool = False


class Context(Protocol):
    """What an operator is given besides its rows and parameters."""

    @property
    def seed(self) -> int:
        """The spec's seed (or the node's own)."""
        ...

    @property
    def model(self) -> Model:
        """The model that the spec names for this operator."""
        ...

    def draw(self, row_id: str, k: int = 0) -> int:
        """A 63-bit number from (seed, row_id, k)."""
        ...

    def rng(self, row_id: str, k: int = 0) -> np.random.Generator:
        """A random generator seeded by `draw(row_id, k)`."""
        ...


ReadsOf = Callable[[Any], Mapping[str, Reads]]
WritesOf = Callable[[Any, int | None], Mapping[str, pa.DataType]]


def _one_call(params: Any) -> int:  # noqa: ARG001
    return 1


@dataclass(frozen=True)
class Operator:
    """An operator as the engine sees it; made by `generator`, `scorer` and `selector`.

    `reads_of(params)` and `writes_of(params, embedding_dim)` give the columns for given parameters; the dimension is
    that of the bound model's embeddings, None where it isn't known before the model runs. `expressions` names the
    parameters that hold SQL expressions over the table's columns; the engine hands their values over as columns
    of the parameter's name.
    """

    kind: Kind
    name: str
    version: int
    fn: Callable[..., Any]
    params: type[Params]
    reads_of: ReadsOf
    writes_of: WritesOf
    needs: frozenset[Capability] = frozenset()
    expressions: tuple[str, ...] = ()
    seeded: bool = False  # draws random numbers: the seed enters the fingerprint
    calls_per_row: Callable[[Any], int] = _one_call  # model calls for one row, for the plan's estimate
    roots: Callable[[Any], int] | None = None  # a generator that needs no `from`: how many rows it begins without one

    @property
    def by_row(self) -> bool:
        """Whether the function takes one row at a time."""
        return next(iter(inspect.signature(self.fn).parameters)) == "row"

    @property
    def is_async(self) -> bool:
        """Whether the function talks to a model and must be awaited."""
        return inspect.iscoroutinefunction(self.fn)

    @property
    def doc(self) -> str:
        """The first paragraph of the function's docstring, for `setwright ops`."""
        return (inspect.getdoc(self.fn) or "").split("\n\n")[0].replace("\n", " ")


def generator(
    *,
    params: type[Params],
    reads: Mapping[str, Reads] | ReadsOf,
    writes: Mapping[str, pa.DataType] | WritesOf,
    version: int = 1,
    needs: set[Capability] | None = None,
    calls_per_row: Callable[[Any], int] = _one_call,
    roots: Callable[[Any], int] | None = None,
) -> Callable[[Callable[..., Any]], Operator]:
    """A generator: each row gives new rows (a list of dicts of the written columns); the engine gives their ids.

    With `roots`, a table may leave out `from`: the function is then called for `roots(params)` rows that have nothing
    but a row_id, which depends on the operator's name and the row's number alone; their children are roots.
    """
    return _decorator(
        Kind.GENERATE, params, reads, writes,
        version=version, needs=needs, seeded=True, calls_per_row=calls_per_row, roots=roots,
    )  # fmt: skip


def scorer(
    *,
    params: type[Params],
    reads: Mapping[str, Reads] | ReadsOf,
    writes: Mapping[str, pa.DataType] | WritesOf,
    version: int = 1,
    needs: set[Capability] | None = None,
    seeded: bool = False,
    calls_per_row: Callable[[Any], int] = _one_call,
) -> Callable[[Callable[..., Any]], Operator]:
    """A scorer: exactly one row for each row, new columns only; a score that can't be computed is null."""
    return _decorator(
        Kind.SCORE, params, reads, writes,
        version=version, needs=needs, seeded=seeded, calls_per_row=calls_per_row,
    )  # fmt: skip


def selector(
    *,
    params: type[Params],
    reads: Mapping[str, Reads] | ReadsOf,
    version: int = 1,
    expressions: tuple[str, ...] = (),
    seeded: bool = False,
) -> Callable[[Callable[..., Any]], Operator]:
    """A selector: the whole table (its read columns, its expressions, `row_id`) to one `VERDICT` row for each row.

    A selector talks to no model. An expression's value stands in a column named as its parameter.
    """
    return _decorator(Kind.SELECT, params, reads, {}, version=version, seeded=seeded, expressions=expressions)


def trainer(
    *, params: type[Params], reads: Mapping[str, Reads] | ReadsOf, version: int = 1
) -> Callable[[Callable[..., Any]], Operator]:
    """A trainer: the rows of a table and a base model to a new model.

    The function takes the params and returns the module of `trainers` that is run, as a command, on a hand-off folder
    (`python -m MODULE FOLDER`). The module's own configuration has the same names and defaults.
    """
    return _decorator(Kind.TRAIN, params, reads, {}, version=version, seeded=True)


def _decorator(
    kind: Kind,
    params: type[Params],
    reads: Mapping[str, Reads] | ReadsOf,
    writes: Mapping[str, pa.DataType] | WritesOf,
    *,
    version: int,
    needs: set[Capability] | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], Operator]:
    reads_of: ReadsOf = reads if callable(reads) else lambda _params: reads
    writes_of: WritesOf = writes if callable(writes) else lambda _params, _dim: writes

    def decorate(fn: Callable[..., Any]) -> Operator:
        name = fn.__module__.rpartition(".")[2]
        return Operator(kind, name, version, fn, params, reads_of, writes_of, needs=frozenset(needs or ()), **options)

    return decorate
