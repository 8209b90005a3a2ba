"""`score: reward`: a number for the reply that ends a conversation, by a reward model or by a chat judge's mark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.needs import MODEL, Asks, Role, tokens_in
from engine.operator import Context, Params, Reads, Row, scorer
from engine.operators._prompts import Template, fill, shipped
from engine.operators._rating import expected_mark
from engine.operators._transcript import transcript
from engine.request import Capability, Message
from engine.schema import MESSAGES_TYPE


class RewardPrompts(Params):
    """What a judge is asked; `{points}` is the best mark."""

    rate: Annotated[str, Template("instruction", "response")] = shipped("ultraprompt/rate")


class RewardParams(Params):
    """Who gives the number.

    - `by: head` takes a reward model's own, in the model's unit.
    - `by: judge` shows a chat model the conversation in `prompts.rate` and takes the mark from 1 to `points` that is
      expected of the next token: the mean over all marks, so that close replies still differ.
    """

    by: Literal["head", "judge"] = "head"
    points: int = Field(5, ge=2, le=9)  # a mark is one token
    prompts: RewardPrompts = RewardPrompts()


def _roles(params: RewardParams) -> dict[str, Role]:
    return {MODEL: Role(frozenset({Capability.REWARD if params.by == "head" else Capability.NEXT_TOKEN_LOGPROBS}))}


def _asks(params: RewardParams) -> list[Asks]:
    return [Asks((1, 1), prompt=tokens_in(params.prompts.rate if params.by == "judge" else ""))]


@scorer(
    params=RewardParams,
    reads={"messages": Reads(MESSAGES_TYPE)},
    writes={"reward": pa.float32()},
    roles=_roles,
    asks=_asks,
)
async def reward(row: Row, params: RewardParams, ctx: Context) -> dict[str, Any]:
    """Asks a reward model, or a judge, about a conversation that ends with the reply to be judged.

    Raises:
        RowError: there is no reply to judge, the model's number is none, or a mark can't be seen among the next tokens.
    """
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in row["messages"] or []]
    if not turns or turns[-1]["role"] != "assistant":
        raise RowError("there is no reply to judge: the conversation is null, or does not end with the assistant")
    found = await (ctx.model.reward(turns) if params.by == "head" else _mark(turns, params, ctx))
    if not math.isfinite(found):
        raise RowError(f"the reward is {found}, which is no finite number")
    return {"reward": found}


async def _mark(turns: Sequence[Message], params: RewardParams, ctx: Context) -> float:
    """A judge's expected mark; a single turn before the reply is shown as it is, several after their roles' names."""
    before = turns[:-1]
    asked = before[0]["content"] or "" if len(before) == 1 else transcript(before)
    values = {"instruction": asked, "response": turns[-1]["content"] or "", "points": str(params.points)}
    points = [str(point) for point in range(1, params.points + 1)]
    mark = await expected_mark(ctx.model, points, fill(params.prompts.rate, values))
    if mark is None:
        raise RowError("a mark can't be seen among the next tokens: the server shows only the most likely ones")
    return mark
