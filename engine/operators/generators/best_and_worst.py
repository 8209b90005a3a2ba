"""`generate: best_and_worst`: preference pairs from several responses and a reward model (Magpie-DPO).

Xu et al., arXiv 2406.08464, section on preference data: five responses a prompt, the best one against the worst.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from engine.errors import RowError
from engine.needs import Asks
from engine.operator import Context, Params, Reads, Row, generator
from engine.operators._answers import all_of
from engine.request import Capability, Message
from engine.schema import MESSAGES, MESSAGES_TYPE, ColumnType, is_list, is_text

MOST = 16  # responses that a row is taken to have at most, for a plan of rows that are not there
TEXTS_TYPE = ColumnType("list<string>", lambda t: is_list(t) and is_text(t.value_type))


class BestAndWorstParams(Params):
    """There is nothing to choose: rewards decide."""


@generator(
    params=BestAndWorstParams,
    reads={"messages": Reads(MESSAGES_TYPE), "responses": Reads(TEXTS_TYPE)},
    writes={
        "prompt": MESSAGES,
        "chosen": MESSAGES,  # the one message that answers, as in every preference row
        "rejected": MESSAGES,
        "responses": pa.list_(pa.string()),
        "rewards": pa.list_(pa.float32()),  # of the responses, in their order
    },
    needs={Capability.REWARD},
    asks=lambda _: [Asks((2, MOST), reply=(0, 1))],
    gives=lambda _, rows: (0, rows),
)
async def best_and_worst(row: Row, params: BestAndWorstParams, ctx: Context) -> list[dict[str, Any]]:  # noqa: ARG001
    """Rewards every response to a prompt, and makes a pair of the best and the worst one.

    The prompt is the conversation before its closing assistant turn. Of equal rewards the first one counts. A row whose
    rewards are all equal says nothing about better and worse: it gives no pair, and its reason stands in the errors.

    Raises:
        RowError: there are no two responses, no prompt, or all rewards are equal or one is not a number.
    """
    prompt = _prompt(row["messages"])
    texts = list(row["responses"] or [])
    if len(texts) < 2 or None in texts:
        raise RowError(f"a pair needs two responses, and there are {len([t for t in texts if t is not None])}")
    rewards = np.asarray(await all_of(ctx.model.reward([*prompt, _reply(text)]) for text in texts), np.float32)
    if not np.isfinite(rewards).all():
        raise RowError("a reward is not a finite number")
    if rewards.min() == rewards.max():
        raise RowError(
            f"all {len(texts)} responses have the reward {rewards[0]:g}: there is no better and no worse one"
        )
    best, worst = int(rewards.argmax()), int(rewards.argmin())
    return [
        {
            "prompt": prompt,
            "chosen": [_reply(texts[best])],
            "rejected": [_reply(texts[worst])],
            "responses": texts,
            "rewards": rewards.tolist(),
        }
    ]


def _prompt(messages: list[dict[str, Any]] | None) -> list[Message]:
    turns: list[Message] = [{"role": turn["role"], "content": turn["content"]} for turn in messages or []]
    while turns and turns[-1]["role"] == "assistant":
        turns.pop()
    if not turns:
        raise RowError("there is no prompt: the conversation is null, or has no turn before the assistant's")
    return turns


def _reply(text: str) -> Message:
    return {"role": "assistant", "content": text}
