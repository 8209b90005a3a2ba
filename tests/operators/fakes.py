"""The smallest context and models that an operator can run with: `from operators.fakes import context`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from engine.draws import draw
from engine.needs import SideTable
from engine.operator import Operator
from engine.request import Answer, Message, Sampling

Reply = Answer | Exception


@dataclass
class FakeModel:
    """Embeds by a function of the text and answers by a function of the draw; records what it was asked."""

    vector: Callable[[str], Sequence[float]] = lambda text: [len(text), 1.0]
    reply: Callable[[int], Reply] = lambda _: Answer(text="yes", finish_reason="stop")
    embedded: list[list[str]] = field(default_factory=list)
    chats: list[tuple[list[Message], int, Sampling]] = field(default_factory=list)
    answered: int = 0

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.embedded.append(list(texts))
        return np.array([self.vector(text) for text in texts], np.float32)

    async def chat(self, messages: Sequence[Message], *, draw: int, sampling: Sampling) -> Answer:
        self.chats.append((list(messages), draw, sampling))
        reply = self.reply(draw)
        if isinstance(reply, Exception):
            raise reply
        await asyncio.sleep(0.01)  # later than any failure
        self.answered += 1
        return reply


@dataclass
class FakeRows:
    """A table in memory as `engine.rows.Rows`, cut into parts of so many rows."""

    table: pa.Table
    part_rows: int = 1000

    @property
    def num_rows(self) -> int:
        return self.table.num_rows

    @property
    def columns(self) -> list[str]:
        return [name for name in self.table.column_names if name != "row_id"]

    def whole(self, *columns: str) -> pa.Table:
        return self.table.select(["row_id", *columns])

    def parts(self, *columns: str) -> Iterator[pa.Table]:
        for start in range(0, self.num_rows, self.part_rows):
            yield self.whole(*columns).slice(start, self.part_rows)


@dataclass
class FakeContext:
    seed: int = 17
    model: Any = None
    models: dict[str, Any] = field(default_factory=dict)
    sides: dict[str, SideTable] = field(default_factory=dict)
    scratch: Path = Path()

    def draw(self, row_id: str, k: int = 0) -> int:
        return draw(self.seed, row_id, k)

    def rng(self, row_id: str, k: int = 0) -> np.random.Generator:
        return np.random.default_rng(self.draw(row_id, k))


def run(
    op: Operator,
    batch: pa.Table,
    *,
    seed: int = 17,
    model: Any = None,
    sides: Any = None,
    part_rows: int = 1000,
    **params: Any,
) -> pa.Table:
    """What an operator over a batch, or over a whole table cut into parts, makes of it."""
    given = FakeRows(batch, part_rows) if op.by_table else batch
    tables = {name: SideTable(side) for name, side in (sides or {}).items()}
    with TemporaryDirectory() as scratch:
        made = op.fn(given, op.params(**params), FakeContext(seed, model, sides=tables, scratch=Path(scratch)))
        return asyncio.run(made) if op.is_async else made


def table(**columns: Any) -> pa.Table:
    """A table with row ids r0, r1, ... unless they are given."""
    n = len(next(iter(columns.values())))
    return pa.table({"row_id": pa.array([f"r{i}" for i in range(n)], pa.string()), **columns})
