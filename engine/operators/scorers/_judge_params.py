"""How `score: judge` is asked, what it writes, and the calls that it makes of that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from engine.needs import MODEL, Asks, Role, tokens_in
from engine.operator import Params
from engine.operators._pairwise import FIELDS, read_letter, read_marks
from engine.operators._prompts import Template, shipped
from engine.request import Capability, Sampling
from engine.schema import digest

PLACES = {"A": 0, "B": 1, "C": None}
"""Which of the two answers that a prompt shows a letter prefers; the last one prefers neither."""


@dataclass(frozen=True)
class Opinion:
    """What a reply says: the better one of the answers as it saw them (0 or 1, None for a tie), and their marks."""

    better: int | None
    marks: tuple[float, float] | None = None


class JudgePrompts(Params):
    """The prompts of both forms; only that of the `form` that is set is used. `{scale}` is the best mark."""

    letter: Annotated[str, Template(*FIELDS)] = shipped("judge/letter")
    marks: Annotated[str, Template(*FIELDS)] = shipped("judge/marks")


class JudgeParams(Params):
    """How the judge is asked, and when it may not judge.

    In the form `letter` it compares and ends with [[A]], [[B]] or [[C]] (a tie), in the form `marks` it gives both
    answers a mark from 1 to `scale`. A reply that can't be read is asked for again up to `retries` times, then at
    `retry_temperature`, as a greedy judge repeats itself. `min_agreement` is the share of gold pairs on which its
    verdict must be the label; it goes with the table `gold`. `allow_self` lets a model judge what it wrote.
    """

    form: Literal["letter", "marks"] = "letter"
    scale: int = Field(10, ge=2)
    retries: int = Field(1, ge=0)
    temperature: float = Field(0.0, ge=0)
    retry_temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(1024, ge=1)
    min_agreement: float | None = Field(None, gt=0, le=1)
    allow_self: bool = False
    prompts: JudgePrompts = JudgePrompts()

    @model_validator(mode="after")
    def _asking_again_needs_chance(self) -> JudgeParams:
        if self.retries and max(self.temperature, self.retry_temperature) == 0:
            raise ValueError("retry_temperature: at 0 the reply is always the same; raise it, or write retries: 0")
        return self

    @property
    def template(self) -> str:
        """The prompt of the form."""
        return self.prompts.letter if self.form == "letter" else self.prompts.marks

    @cached_property
    def protocol(self) -> str:
        """A digest of all that decides what is asked, and how."""
        asked = self.model_dump_json(exclude={"min_agreement", "allow_self", "prompts"})
        return digest("judge", asked, self.template, size=6)

    def sampling(self, attempt: int) -> Sampling:
        """Of the first reply, and of those that are asked for again."""
        temperature = self.temperature if attempt == 0 else max(self.temperature, self.retry_temperature)
        return Sampling(temperature=temperature, max_tokens=self.max_tokens)

    def read(self, reply: str) -> Opinion | None:
        """What a reply says, if it has the form."""
        if self.form == "letter":
            letter = read_letter(reply)
            return None if letter is None else Opinion(PLACES[letter])
        marks = read_marks(reply, self.scale)
        return None if marks is None else Opinion(None if marks[0] == marks[1] else int(marks[1] > marks[0]), marks)


def writes(params: JudgeParams, _dim: int | None) -> dict[str, pa.DataType]:
    """The columns."""
    marks = {"judge_chosen_mark": pa.float32(), "judge_rejected_mark": pa.float32()}  # means over both orders
    return {
        "judge_verdict": pa.string(),  # chosen, rejected or tie; null where a reply could not be read
        "judge_first_order": pa.string(),  # the verdict where the chosen answer is shown first
        "judge_second_order": pa.string(),  # and where it is shown second
        "judge_flipped": pa.bool_(),  # whether those two differ
        **(marks if params.form == "marks" else {}),
        "judge_longer": pa.string(),  # the answer with more characters, or tie
        "judge_label": pa.string(),  # the column `label`, where it is a verdict
        "judge_replies": pa.list_(pa.string()),  # the last one in each order
        "judge_retries": pa.int32(),  # replies before those that could not be read
        "judge_reason": pa.string(),  # why there is no verdict
        "judge_model": pa.string(),  # its name and the beginning of its identity
        "judge_protocol": pa.string(),  # the same for all that was asked alike
    }


def roles(params: JudgeParams) -> dict[str, Role]:
    """The judge."""
    return {MODEL: Role(frozenset({Capability.CHAT}), impartial=not params.allow_self)}


def asks(params: JudgeParams) -> list[Asks]:
    """The calls of one row.

    Equal answers make the same prompt in both orders, which a greedy judge is asked once; a refused one is never asked.
    """
    least = 0 if params.min_agreement is not None else 2 if params.temperature else 1
    calls = (least, 2 * (params.retries + 1))
    return [Asks(calls, prompt=tokens_in(params.template), reply=(1, params.max_tokens))]
