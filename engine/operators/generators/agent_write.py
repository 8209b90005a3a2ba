"""`generate: agent_write`: a long text, planned first and then written paragraph by paragraph.

AgentWrite of Bai et al., "LongWriter" (arXiv 2408.07055, section 3). The prompts are ours, in the sense of theirs.
"""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.needs import Asks, tokens_in
from engine.operator import Context, Params, Reads, Row, generator
from engine.operators._prompts import Template, fill, shipped
from engine.request import Answer, Capability, Sampling
from engine.schema import MESSAGES, TEXT_TYPE


class AgentWritePrompts(Params):
    """The requests for the plan and for one paragraph."""

    plan: Annotated[str, Template("instruction")] = shipped("agent_write/plan")
    write: Annotated[str, Template("instruction", "plan", "text", "line")] = shipped("agent_write/write")


class AgentWriteParams(Params):
    """A plan with more than `max_paragraphs` lines is not written; `max_tokens` is for a plan or a paragraph."""

    max_paragraphs: int = Field(50, ge=1)
    temperature: float = Field(1.0, ge=0)
    max_tokens: int = Field(4096, ge=1)
    prompts: AgentWritePrompts = AgentWritePrompts()


def _asks(params: AgentWriteParams) -> list[Asks]:
    """A plan, then its paragraphs; each is asked for with the plan and all that is written so far."""
    few, many = tokens_in(params.prompts.write)
    reply = (0, params.max_tokens)
    shown = (params.max_paragraphs + 1) * params.max_tokens
    return [
        Asks((1, 1), prompt=tokens_in(params.prompts.plan), reply=reply),
        Asks((1, params.max_paragraphs), prompt=(few, many + shown), reply=reply),
    ]


@generator(
    params=AgentWriteParams,
    reads={"instruction": Reads(TEXT_TYPE, default=("instruction", "prompt", "text"))},
    writes={
        "messages": MESSAGES,
        "instruction": pa.string(),
        "response": pa.string(),
        "plan": pa.list_(pa.string()),  # its lines, one for each paragraph of the response
        "cut_paragraphs": pa.int32(),  # paragraphs that ended at max_tokens
    },
    needs={Capability.CHAT},
    asks=_asks,
    gives=lambda _, rows: (rows, rows),
)
async def agent_write(row: Row, params: AgentWriteParams, ctx: Context) -> list[dict[str, Any]]:
    """Asks for a plan, then for one paragraph after the other, each with the plan and all that is written so far.

    The paragraphs are joined by empty lines. Every call is remembered, so a build that is stopped in the middle of a
    text goes on with the paragraph that comes next.

    Raises:
        RowError: there is no instruction; the plan is empty, cut off or too long; or a paragraph is empty.
    """
    instruction = row["instruction"]
    if not instruction:
        raise RowError("the instruction is null or empty")
    plan = await _plan(row["row_id"], instruction, params, ctx)
    paragraphs: list[str] = []
    cut = 0
    for number, line in enumerate(plan, 1):
        so_far = {"plan": "\n".join(plan), "text": "\n\n".join(paragraphs), "line": line}
        asked = fill(params.prompts.write, {"instruction": instruction, **so_far})
        answer = await _ask(asked, row["row_id"], number, params, ctx)
        written = (answer.text or "").strip()
        if not written:
            raise RowError(f"paragraph {number} of {len(plan)} is empty")
        paragraphs.append(written)
        cut += answer.finish_reason == "length"
    response = "\n\n".join(paragraphs)
    talk = [{"role": "user", "content": instruction}, {"role": "assistant", "content": response}]
    return [{"messages": talk, "instruction": instruction, "response": response, "plan": plan, "cut_paragraphs": cut}]


async def _plan(row_id: str, instruction: str, params: AgentWriteParams, ctx: Context) -> list[str]:
    """The lines of the plan, without those that are empty.

    Raises:
        RowError: there are none, too many, or the last one is cut off.
    """
    answer = await _ask(fill(params.prompts.plan, {"instruction": instruction}), row_id, 0, params, ctx)
    lines = [line.strip() for line in (answer.text or "").split("\n") if line.strip()]
    if not lines:
        raise RowError("the plan is empty")
    if len(lines) > params.max_paragraphs:
        raise RowError(f"the plan has {len(lines)} lines, and max_paragraphs is {params.max_paragraphs}")
    if answer.finish_reason == "length":
        raise RowError(f"the plan is cut off at max_tokens ({params.max_tokens})")
    return lines


async def _ask(text: str, row_id: str, number: int, params: AgentWriteParams, ctx: Context) -> Answer:
    sampling = Sampling(temperature=params.temperature, max_tokens=params.max_tokens)
    return await ctx.model.chat([{"role": "user", "content": text}], draw=ctx.draw(row_id, number), sampling=sampling)
