"""`generate: respond`: an answer, or n answers, to each prompt.

A row's prompt is a string (one user turn) or a conversation. How a reply is drawn is the model's business.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pyarrow as pa
from pydantic import Field, model_validator

from engine.errors import RowError
from engine.needs import Asks, tokens_in
from engine.operator import Context, Params, Reads, Row, generator
from engine.operators._answers import all_of
from engine.request import Answer, Capability, Message, Sampling
from engine.schema import MESSAGES, PROMPT_TYPE

WRITES = {
    "messages": MESSAGES,  # the prompt's turns and the answer; a turn's role and content, nothing else of it
    "instruction": pa.string(),  # the first user turn
    "response": pa.string(),
    "sample": pa.int32(),  # which of the n answers, from 0
    "finish_reason": pa.string(),
}


class RespondParams(Params):
    """How many answers, under which system prompt; sampling fields that are given override the model's own."""

    n: int = Field(1, ge=1)
    system: str | None = None
    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    stop: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _several_need_chance(self) -> RespondParams:
        if self.n > 1 and self.temperature == 0:
            raise ValueError(f"n: {self.n} answers at temperature 0 are {self.n} copies of one; raise the temperature")
        return self

    @cached_property
    def sampling(self) -> Sampling:
        """The given sampling fields."""
        return Sampling(
            temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, stop=tuple(self.stop)
        )


def _asks(params: RespondParams) -> list[Asks]:
    prompt = (0, 0) if params.system is None else tokens_in(params.system)
    reply = None if params.max_tokens is None else (0, params.max_tokens)
    return [Asks((params.n, params.n), prompt=prompt, reply=reply)]


@generator(
    params=RespondParams,
    reads={"prompt": Reads(PROMPT_TYPE, default=("prompt", "messages", "instruction", "text"))},
    writes=WRITES,
    needs={Capability.CHAT},
    asks=_asks,
    gives=lambda params, rows: (params.n * rows, params.n * rows),
)
async def respond(row: Row, params: RespondParams, ctx: Context) -> list[dict[str, Any]]:
    """Asks the model for an answer, or `n` answers, to each prompt.

    A conversation that ends with an assistant's turn is answered anew: its prompt is what stands before that turn.
    `system` replaces the prompt's own system turn. An empty answer is data and is kept with its finish reason.

    Raises:
        RowError: the prompt is null, empty or without any turn to answer.
        ModelError: an answer failed; the others have finished by then, so that they need not be asked for again.
    """
    turns = prompt_turns(row["prompt"], params.system)
    calls = [ctx.model.chat(turns, draw=ctx.draw(row["row_id"], k), sampling=params.sampling) for k in range(params.n)]
    answers = [await calls[0]] if params.n == 1 else await all_of(calls)  # no task for a single call
    return [_child(turns, answer, k) for k, answer in enumerate(answers)]


def prompt_turns(prompt: str | list[dict[str, Any]] | None, system: str | None) -> list[Message]:
    """The turns to answer: of a string one user turn, of a conversation all before its closing assistant turns."""
    given = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt or [])
    while given and given[-1]["role"] == "assistant":
        given.pop()
    if system is not None:
        given = [{"role": "system", "content": system}, *(turn for turn in given if turn["role"] != "system")]
    if not any(turn["content"] for turn in given if turn["role"] != "system"):
        raise RowError("there is no prompt to answer: it is null, empty, or has no turn before the assistant's")
    # Arrow gives every turn all fields of the struct; a server takes an absent field, not a null one.
    return [{field: value for field, value in turn.items() if value is not None} for turn in given]


def _child(turns: list[Message], answer: Answer, k: int) -> dict[str, Any]:
    talk = [*turns, {"role": "assistant", "content": answer.text}]
    return {
        "messages": [{"role": turn["role"], "content": turn.get("content")} for turn in talk],
        "instruction": next((turn.get("content") for turn in turns if turn["role"] == "user"), None),
        "response": answer.text,
        "sample": k,
        "finish_reason": answer.finish_reason,
    }
