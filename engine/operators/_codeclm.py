"""What the stages of CodecLM share: how a use case and skills are read, and how a model is asked until it can be read.

Wang et al., "CodecLM: Aligning Language Models with Tailored Synthetic Data" (arXiv 2404.05875). The stages are
`generate: codeclm_encode`, `codeclm_mix`, `codeclm_decode` and `codeclm`, and `score: self_rubrics`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import pyarrow as pa
from pydantic import Field, model_validator

from engine.errors import RowError
from engine.needs import Asks, tokens_in
from engine.operator import Context, Params, Reads, Row
from engine.request import Answer, Sampling
from engine.schema import TEXT_TYPE, ColumnType, is_list, is_text

T = TypeVar("T")


def _is_texts(t: pa.DataType) -> bool:
    return is_list(t) and is_text(t.value_type)


TEXTS_TYPE = ColumnType("list<string>", _is_texts)
METADATA = {"use_case": Reads(TEXT_TYPE), "skills": Reads(TEXTS_TYPE)}
"""The columns of metadata."""


class StageParams(Params):
    """A stage asks up to `tries` times, each time a new draw, until a reply can be read."""

    tries: int = Field(3, ge=1)
    temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(2048, ge=1)

    @model_validator(mode="after")
    def _asking_again_needs_chance(self) -> StageParams:
        if self.temperature == 0 and self.tries > 1:
            raise ValueError("tries: at temperature 0 the reply is always the same; raise it, or write tries: 1")
        return self

    def asks(self, template: str) -> list[Asks]:
        """The calls of one row."""
        return [Asks((1, self.tries), prompt=tokens_in(template), reply=(1, self.max_tokens))]

    async def ask(self, asked: str, row_id: str, attempt: int, ctx: Context) -> Answer:
        """One reply to one user turn."""
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        turns = [{"role": "user", "content": asked}]
        return await ctx.model.chat(turns, draw=ctx.draw(row_id, attempt), sampling=sampling)


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What was read of a reply; without a value, the reason why the last of `tries` replies can't be read."""

    value: T | None
    raw: str
    reason: str | None
    tries: int


async def ask_until_read(
    asked: str, read: Callable[[str], T], row_id: str, params: StageParams, ctx: Context
) -> Reading[T]:
    """Asks until `read` makes something of a whole reply.

    Args:
        asked: the prompt.
        read: raises `RowError` where it can't read a reply.
        row_id: of the row, for the draws.
        params: the stage's.
        ctx: the stage's.
    """
    for attempt in range(params.tries):
        answer = await params.ask(asked, row_id, attempt, ctx)
        raw = answer.text or ""
        try:
            if answer.finish_reason == "length":
                raise RowError(f"the reply is cut off at max_tokens ({params.max_tokens})")
            return Reading(read(raw), raw, None, attempt + 1)
        except RowError as e:
            reason = e.message
    return Reading(None, raw, reason, params.tries)


def metadata_of(row: Row) -> tuple[str, list[str]]:
    """The use case and the skills of a row.

    Raises:
        RowError: one of them is missing.
    """
    skills = [skill for skill in row["skills"] or [] if skill]
    if not row["use_case"] or not skills:
        raise RowError("there are no skills" if row["use_case"] else "the use case is null or empty")
    return row["use_case"], skills
