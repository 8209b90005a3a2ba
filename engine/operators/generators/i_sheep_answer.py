"""`generate: i_sheep_answer`: the answer to an instruction with its input, without any example.

The second step of an iteration of I-SHEEP (Liang et al., arXiv 2408.08072, section 3.1). Which answers are bad is
`score: i_sheep_rules`' and `score: self_assessment`'s business.
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.needs import Asks, Reads
from engine.operator import Context, Row, generator
from engine.operators._i_sheep import AskParams, roles
from engine.request import Message
from engine.schema import MESSAGES, TEXT_TYPE

WRITES = {
    "messages": MESSAGES,  # the system turn if there is one, the user's and the answer, in whichever form it was asked
    "instruction": pa.string(),
    "input": pa.string(),
    "response": pa.string(),  # without blanks around it and the Chinese word for "answer" before it
    "raw_response": pa.string(),
    "finish_reason": pa.string(),
}

_CHINESE_ANSWER = re.compile(r"\A\s*(?:答案|回答|答)\s*[:\uff1a]?")


class ISheepAnswerParams(AskParams):
    """`separator` stands between instruction and input; the released code has none there, and reads worse for it.

    `system` is the system turn of a chat and of the rows to train on, null for none; `stop` are further ends of a
    reply, for base models that don't know when to end.
    """

    separator: str = "\n"
    system: str | None = "You are a helpful assistant."
    stop: list[str] = Field(default_factory=list)


@generator(
    params=ISheepAnswerParams,
    reads={"instruction": Reads(TEXT_TYPE), "input": Reads(TEXT_TYPE, optional=True)},
    writes=WRITES,
    roles=roles,
    gives=lambda _, rows: (rows, rows),
    asks=lambda params: [Asks((1, 1), prompt=(0, 1 + len(params.system or "")), reply=(0, params.max_tokens))],
)
async def i_sheep_answer(row: Row, params: ISheepAnswerParams, ctx: Context) -> list[dict[str, Any]]:
    """Asks for one answer: of a base model as what follows on the instruction, its input and a line break.

    A tuned model is asked by a system turn and a user's turn. An empty answer is kept: a rule will drop it.

    Raises:
        RowError: there is no instruction.
    """
    instruction, given = row["instruction"], row.get("input") or ""
    if not instruction:
        raise RowError("there is no instruction to answer: it is null or empty")
    asked = f"{instruction}{params.separator}{given}" if given else instruction
    turns: list[Message] = [{"role": "system", "content": params.system}] if params.system else []
    turns.append({"role": "user", "content": asked})
    draw, sampling = ctx.draw(row["row_id"]), params.sampling(*params.stop)
    if params.form == "base":
        answer = await ctx.model.generate(f"{asked}\n", draw=draw, sampling=sampling)
    else:
        answer = await ctx.model.chat(turns, draw=draw, sampling=sampling)
    response = _CHINESE_ANSWER.sub("", answer.text or "", count=1).strip()
    return [
        {
            "messages": [*turns, {"role": "assistant", "content": response}],
            "instruction": instruction, "input": given, "response": response, "raw_response": answer.text,
            "finish_reason": answer.finish_reason,
        }
    ]  # fmt: skip
