"""What `generate: codeclm` is told, what it writes, and the calls that it makes of that."""

from __future__ import annotations

from enum import IntEnum, StrEnum, auto
from typing import Annotated

import pyarrow as pa
from pydantic import Field, model_validator

from engine.needs import Asks, Role, tokens_in
from engine.operator import Params
from engine.operators._pairwise import FIELDS
from engine.operators._prompts import Template, shipped
from engine.request import Capability, Sampling
from engine.schema import MESSAGES

ATTEMPTS = 10  # draws that a step of an iteration may take


class Status(StrEnum):
    """How the loop of an instruction ended."""

    ACCEPTED_STRONG = "accepted_strong"
    ACCEPTED_TARGET = "accepted_target"
    EXHAUSTED = "exhausted"  # the answers stayed too close to each other
    PARSE_FAILED = "parse_failed"  # a rewrite or a verdict could not be used


class Draw(IntEnum):
    """What an iteration draws."""

    ACTION = 0
    REWRITE = auto()
    STRONG = auto()
    TARGET = auto()
    JUDGE = auto()
    JUDGE_SWAPPED = auto()

    def number(self, iteration: int, attempt: int = 0) -> int:
        """The number of a draw among those of the row."""
        return (iteration * len(Draw) + self) * ATTEMPTS + attempt


ITERATION = {
    "instruction": pa.string(),
    "action": pa.string(),  # that made it of the instruction before; null for the basic one
    "strong_response": pa.string(),
    "target_response": pa.string(),
    "strong_score": pa.float32(),  # mean over both orders
    "target_score": pa.float32(),
    "quality_gap": pa.float32(),
    "judge_raw": pa.list_(pa.string()),  # the replies in both orders, the strong model's answer first and then second
    "judge_retries": pa.int32(),  # replies before those that could not be read
}

WRITES = {
    "messages": MESSAGES,  # instruction and response; null, as is the response, unless accepted
    "instruction": pa.string(),  # the last one of the loop
    "response": pa.string(),
    "response_source": pa.string(),  # strong or target
    "finish_reason": pa.string(),  # of the response
    "metadata_id": pa.string(),
    "use_case": pa.string(),
    "skills": pa.list_(pa.string()),
    "basic_instruction": pa.string(),
    "iteration": pa.int32(),  # of the last instruction; the basic one is the first
    "action_history": pa.list_(pa.string()),
    **{name: kind for name, kind in ITERATION.items() if name not in ("instruction", "action", "judge_retries")},
    "history": pa.list_(pa.struct(list(ITERATION.items()))),  # every iteration
    "status": pa.string(),
    "reason": pa.string(),  # why it is not accepted
}


class CodecLMPrompts(Params):
    """The prompts that rewrite an instruction and judge two answers to it; `{scale}` is `judge_scale`."""

    rewrite: Annotated[str, Template("instruction", "action")] = shipped("codeclm/rewrite")
    judge: Annotated[str, Template(*FIELDS)] = shipped("codeclm/judge")


class CodecLMParams(Params):
    """The loop: at most `max_iterations` instructions, of which the basic one is the first.

    Accepted is an instruction whose answers are more than `theta` apart. A rewrite or verdict that can't be used is
    asked for again up to `retries` times, a verdict then at `temperature`, as a greedy judge repeats itself. With
    `filter: false`, each instruction is rewritten `max_iterations - 1` times and kept with the strong model's answer.
    The paper does not say at which temperatures answers and verdicts are drawn; 0.7 and 0 are ours.
    """

    max_iterations: int = Field(4, ge=1)
    filter: bool = True
    theta: float = Field(3.0, ge=0)
    judge_scale: int = Field(10, ge=2)
    retries: int = Field(1, ge=0, lt=ATTEMPTS)
    temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(2048, ge=1)
    judge_temperature: float = Field(0.0, ge=0)
    judge_max_tokens: int = Field(64, ge=1)
    prompts: CodecLMPrompts = CodecLMPrompts()

    @model_validator(mode="after")
    def _asking_again_needs_chance(self) -> CodecLMParams:
        if self.temperature == 0 and self.retries:
            raise ValueError("retries: at temperature 0 the reply is always the same; raise it, or write retries: 0")
        return self

    @property
    def sampling(self) -> Sampling:
        """Of rewrites and answers."""
        return Sampling(temperature=self.temperature, max_tokens=self.max_tokens)

    def judge_sampling(self, attempt: int) -> Sampling:
        """Of the first verdict, and of those that are asked for again."""
        temperature = self.judge_temperature if attempt == 0 else max(self.judge_temperature, self.temperature)
        return Sampling(temperature=temperature, max_tokens=self.judge_max_tokens)


def roles(params: CodecLMParams) -> dict[str, Role]:
    """Without the filter there is nothing to compare and nobody to judge."""
    chat = frozenset({Capability.CHAT})
    if not params.filter:
        return {"strong": Role(chat)}
    return {"strong": Role(chat), "target": Role(chat), "judge": Role(chat, default="strong")}


def asks(params: CodecLMParams) -> list[Asks]:
    """The calls of one row. An iteration is: a rewrite (but for the first), two answers, two verdicts.

    Two answers that are the same make the same prompt in both orders, which a greedy judge is asked once.
    """
    last, tries, limit = params.max_iterations, params.retries + 1, params.max_tokens
    least, most = tokens_in(params.prompts.rewrite)
    rewrites = Asks(
        (0 if params.filter else last - 1, (last - 1) * tries), "strong", (least, most + limit), reply=(1, limit)
    )
    if not params.filter:
        return [rewrites, Asks((1, 1), "strong", (0, limit), reply=(1, limit))]
    answers = [Asks((1, last), role, (0, limit), reply=(1, limit)) for role in ("strong", "target")]
    least, most = tokens_in(params.prompts.judge)
    calls = (2 if params.judge_temperature else 1, 2 * last * tries)
    verdicts = Asks(calls, "judge", (least, most + 3 * limit), reply=(1, params.judge_max_tokens))
    return [rewrites, *answers, verdicts]
