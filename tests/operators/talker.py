"""Models that answer by a function of prompt and draw, and the rows that operators make of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa
from operators.fakes import FakeContext

from engine.needs import SideTable
from engine.operator import Operator
from engine.request import Answer, Sampling


class Asked(NamedTuple):
    """A call as it came."""

    prompt: str
    draw: int
    sampling: Sampling


class Talker:
    """Says `say(prompt, draw)`, a text or an answer, and keeps what it was asked."""

    def __init__(self, say: Callable[[str, int], str | Answer]) -> None:
        self.say = say
        self.asked: list[Asked] = []

    async def chat(self, messages, *, draw, sampling):
        self.asked.append(Asked(messages[0]["content"], draw, sampling))
        said = self.say(messages[0]["content"], draw)
        return said if isinstance(said, Answer) else Answer(text=said, finish_reason="stop")


def in_turn(*replies: str | Answer) -> Talker:
    """Says one after the other, and the last one for ever."""
    rest = list(replies)
    return Talker(lambda *_: rest.pop(0) if len(rest) > 1 else rest[0])


def made(op: Operator, row: dict[str, Any], *, context: FakeContext | None = None, **params: Any) -> Any:
    """What a row operator makes of one row; a generator's rows and a scorer's columns fit their Arrow types."""
    checked = op.params(**params)
    result = asyncio.run(op.fn({"row_id": "r0", **row}, checked, context or FakeContext()))
    rows = result if isinstance(result, list) else [result]
    pa.Table.from_pylist(rows, schema=pa.schema(op.writes_of(checked, None).items()))
    assert all(row.keys() <= op.writes_of(checked, None).keys() for row in rows)
    return result


def side(rows: list[dict[str, Any]]) -> SideTable:
    """A side table of these rows."""
    return SideTable(pa.Table.from_pylist([{"row_id": f"s{i}", **row} for i, row in enumerate(rows)]))
