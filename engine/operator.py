"""What an operator is: a function, the columns it reads and writes, its parameters and its kind.

An operator's file sees this module, `needs`, `rows`, `schema`, `model`, `request`, `errors`, and the libraries
`vectors`, `texts` and `statistics`, and nothing else of the engine. Its name is that of its file, its kind its folder.

Three forms, told apart by the name of the first argument:

    def fn(batch: pa.Table, params, ctx) -> pa.Table             vector work on a batch (may be `async def`)
    async def fn(row: Row, params, ctx) -> dict | list[dict]     a dialogue with a model, row by row
    def fn(rows: Rows, params, ctx) -> pa.Table                  a scorer or selector that looks at the whole table

A scorer's batch is a part of its table, a selector's is the whole one; `rows` may be larger than memory.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from engine.needs import MODEL, Asks, Role, Side
from engine.needs import Context as Context
from engine.needs import Reads as Reads  # operators import it from here
from engine.request import Capability
from engine.rows import Rows as Rows

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


ReadsOf = Callable[[Any], Mapping[str, Reads]]
WritesOf = Callable[[Any, int | None], Mapping[str, pa.DataType]]
RolesOf = Callable[[Any], Mapping[str, Role]]
AsksOf = Callable[[Any], Sequence[Asks]]
Gives = Callable[[Any, int], tuple[int, int | None]]  # (params, rows read) -> rows at least and at most


@dataclass(frozen=True)
class Operator:
    """An operator as the engine sees it; made by `generator`, `scorer`, `selector` and `trainer`.

    `reads_of(params)`, `roles_of(params)` and `writes_of(params, embedding_dim)` give the columns and the models for
    given parameters; the dimension is that of the bound model's embeddings, None where it isn't known before the model
    runs. `expressions` names the parameters that hold SQL expressions over the table's columns; the engine hands their
    values over as columns of the parameter's name, and no column where a parameter is None.
    """

    kind: Kind
    name: str
    version: int
    fn: Callable[..., Any]
    params: type[Params]
    reads_of: ReadsOf
    writes_of: WritesOf
    roles_of: RolesOf
    asks_of: AsksOf  # model calls for one row, for the plan's estimate
    sides: Mapping[str, Side] = field(default_factory=dict)
    expressions: tuple[str, ...] = ()
    seeded: bool = False  # draws random numbers: the seed enters the fingerprint
    roots: Callable[[Any], int] | None = None  # a generator that needs no `from`: how many rows it begins without one
    gives: Gives | None = None  # rows that a generator makes or a selector keeps, where the parameters tell

    @property
    def by_row(self) -> bool:
        """Whether the function takes one row at a time."""
        return self._first == "row"

    @property
    def by_table(self) -> bool:
        """Whether the function takes the whole table as `Rows`."""
        return self._first == "rows"

    @property
    def _first(self) -> str:
        return next(iter(inspect.signature(self.fn).parameters))

    @property
    def is_async(self) -> bool:
        """Whether the function talks to a model and must be awaited."""
        return inspect.iscoroutinefunction(self.fn)

    def expressions_of(self, params: Params | None) -> dict[str, str]:
        """The SQL expressions that the parameters hold, by the parameters' names."""
        given = {name: getattr(params, name) for name in self.expressions}
        return {name: str(text) for name, text in given.items() if text is not None}

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
    roles: Mapping[str, Role] | RolesOf | None = None,
    sides: Mapping[str, Side] | None = None,
    asks: AsksOf | None = None,
    roots: Callable[[Any], int] | None = None,
    gives: Gives | None = None,
) -> Callable[[Callable[..., Any]], Operator]:
    """A generator: each row gives new rows (a list of dicts of the written columns); the engine gives their ids.

    With `roots`, a table may leave out `from`: the function is then called for `roots(params)` rows that have nothing
    but a row_id, which depends on the operator's name and the row's number alone; their children are roots.
    `needs` is what its only model must offer; with `roles` it asks several. Without `asks`, a row asks each model once.
    `gives(params, rows)` bounds the rows that come of so many rows that can be done.
    """
    return _decorator(
        Kind.GENERATE, params, reads, writes,
        version=version, needs=needs, roles=roles, sides=sides or {}, seeded=True, asks=asks, roots=roots,
        gives=gives,
    )  # fmt: skip


def scorer(
    *,
    params: type[Params],
    reads: Mapping[str, Reads] | ReadsOf,
    writes: Mapping[str, pa.DataType] | WritesOf,
    version: int = 1,
    needs: set[Capability] | None = None,
    roles: Mapping[str, Role] | RolesOf | None = None,
    sides: Mapping[str, Side] | None = None,
    seeded: bool = False,
    asks: AsksOf | None = None,
) -> Callable[[Callable[..., Any]], Operator]:
    """A scorer: exactly one row for each row, new columns only; a score that can't be computed is null."""
    return _decorator(
        Kind.SCORE, params, reads, writes,
        version=version, needs=needs, roles=roles, sides=sides or {}, seeded=seeded, asks=asks,
    )  # fmt: skip


def selector(
    *,
    params: type[Params],
    reads: Mapping[str, Reads] | ReadsOf,
    version: int = 1,
    sides: Mapping[str, Side] | None = None,
    expressions: tuple[str, ...] = (),
    seeded: bool = False,
    gives: Gives | None = None,
) -> Callable[[Callable[..., Any]], Operator]:
    """A selector: the whole table (its read columns, its expressions, `row_id`) to one `VERDICT` row for each row.

    A selector talks to no model. An expression's value stands in a column named as its parameter. `gives(params, rows)`
    bounds the rows that it keeps of so many.
    """
    return _decorator(
        Kind.SELECT, params, reads, {},
        version=version, sides=sides or {}, seeded=seeded, expressions=expressions, gives=gives,
    )  # fmt: skip


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
    roles: Mapping[str, Role] | RolesOf | None = None,
    asks: AsksOf | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], Operator]:
    given = roles or ({MODEL: Role(frozenset(needs))} if needs else {})
    reads_of: ReadsOf = reads if callable(reads) else lambda _params: reads
    writes_of: WritesOf = writes if callable(writes) else lambda _params, _dim: writes
    roles_of: RolesOf = given if callable(given) else lambda _params: given
    asks_of: AsksOf = asks or (lambda params: [Asks((1, 1), role) for role in roles_of(params)])

    def decorate(fn: Callable[..., Any]) -> Operator:
        name = fn.__module__.rpartition(".")[2]
        return Operator(kind, name, version, fn, params, reads_of, writes_of, roles_of, asks_of, **options)

    return decorate
