"""What an operator needs besides its rows: models in their roles, side tables, and the calls that a row takes.

An operator states these as it states its columns (`operator`); the spec's loader and the plan check them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import numpy as np
import pyarrow as pa

from engine.model import Model
from engine.request import Capability
from engine.schema import ColumnType

T = TypeVar("T")

MODEL = "model"
"""The role of an operator's only model, which the spec names under `model:`; several roles stand under `models:`."""

CHARS_PER_TOKEN = (2.5, 6.0)
"""Between these lie the tokenizers in use on prose and code; a plan's bounds are made with them."""


@dataclass(frozen=True)
class Reads:
    """A column that an operator reads.

    `default` names the table's columns tried in order where the spec's `columns:` names none; empty means that the
    column has the operator's own name. An optional column that is absent is not in the batch or row.
    """

    type: ColumnType
    default: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class Role:
    """One of the models that an operator asks, and what that model must offer.

    Where the spec names none for it, the model of the role `default` takes it, too; without a default it must be named.
    An impartial one judges: a plan refuses it a model that has written rows which it would judge. An operator with such
    a role has the parameter `allow_self`, under which it is none.
    """

    needs: frozenset[Capability]
    default: str | None = None
    impartial: bool = False


@dataclass(frozen=True)
class Side:
    """A table that an operator reads as a whole, beside the rows that it works on: seeds, demonstrations.

    The spec names it under `with:`. An optional one that is absent is not in the context; one that `goes_with` a
    parameter is there if, and only if, the parameter is not None.
    """

    reads: Mapping[str, Reads]
    optional: bool = False
    goes_with: str | None = None


@dataclass(frozen=True)
class SideTable:
    """A side table as an operator holds it: its declared columns and `row_id`, as Arrow and as rows made once."""

    table: pa.Table
    _found: dict[Callable[[pa.Table], Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows in the table's order."""
        found: list[dict[str, Any]] = self.table.to_pylist()
        return found

    def once(self, find: Callable[[pa.Table], T]) -> T:
        """What a function finds in the table; it is called once, however many rows ask."""
        if find not in self._found:
            self._found[find] = find(self.table)
        return cast("T", self._found[find])


class Context(Protocol):
    """What an operator is given besides its rows and parameters."""

    @property
    def seed(self) -> int:
        """The spec's seed (or the node's own)."""
        ...

    @property
    def model(self) -> Model:
        """The model that the spec names for this operator, where it asks a single one."""
        ...

    @property
    def models(self) -> Mapping[str, Model]:
        """The models by their roles, where the operator asks several."""
        ...

    @property
    def sides(self) -> Mapping[str, SideTable]:
        """The side tables that the spec gives; an optional one may be absent."""
        ...

    @property
    def scratch(self) -> Path:
        """An empty folder for an operator that looks at the whole table; it is removed afterwards."""
        ...

    def draw(self, row_id: str, k: int = 0) -> int:
        """A 63-bit number from (seed, row_id, k)."""
        ...

    def rng(self, row_id: str, k: int = 0) -> np.random.Generator:
        """A random generator seeded by `draw(row_id, k)`."""
        ...


@dataclass(frozen=True)
class Asks:
    """What one row asks of one model, for the plan; nothing is limited by it. Every pair is (at least, at most).

    `prompt` are the tokens of one prompt besides the row's own texts (`tokens_in` counts those of a template), `texts`
    how often the row's own texts stand in it, `reply` the tokens of one reply; None leaves them to the model's
    `max_tokens`.
    """

    calls: tuple[int, int]
    role: str = MODEL
    prompt: tuple[int, int] = (0, 0)
    texts: int = 1
    reply: tuple[int, int] | None = None


def tokens_in(*texts: str) -> tuple[int, int]:
    """Bounds of how many tokens texts have, from their length; a token is at most a word, and holds a few bytes."""
    few, many = CHARS_PER_TOKEN
    least = sum(min(len(text) / many, len(text.split())) for text in texts)
    return int(least), math.ceil(sum(len(text.encode()) for text in texts) / few)
