"""`score: reward`: a reward model's number for each conversation, as the model gives it."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from engine.errors import RowError
from engine.operator import Context, Params, Reads, Row, scorer
from engine.request import Capability
from engine.schema import MESSAGES_TYPE


class RewardParams(Params):
    """There is nothing to choose; `as` gives the column another name."""


@scorer(
    params=RewardParams,
    reads={"messages": Reads(MESSAGES_TYPE)},
    writes={"reward": pa.float32()},
    needs={Capability.REWARD},
)
async def reward(row: Row, params: RewardParams, ctx: Context) -> dict[str, Any]:  # noqa: ARG001
    """Asks a reward model about a conversation that ends with the reply to be judged.

    Raises:
        RowError: there is no reply to judge, or the model's number is none.
    """
    turns = [{"role": turn["role"], "content": turn["content"]} for turn in row["messages"] or []]
    if not turns or turns[-1]["role"] != "assistant":
        raise RowError("there is no reply to judge: the conversation is null, or does not end with the assistant")
    found = await ctx.model.reward(turns)
    if not math.isfinite(found):
        raise RowError(f"the reward is {found}, which is no finite number")
    return {"reward": found}
