"""`generate: agent_write`: a long text, planned first and then written paragraph by paragraph.

AgentWrite of Bai et al., "LongWriter" (arXiv 2408.07055, section 3). The prompts are ours, in the sense of theirs.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.needs import Asks, tokens_in
from engine.operator import Context, Params, Reads, Row, generator
from engine.operators.generators._evol import fill
from engine.request import Answer, Capability, Sampling
from engine.schema import MESSAGES, TEXT_TYPE

USUAL_PARAGRAPHS = 10  # of some 500 words, for a plan's estimate

PLAN = """\
You plan long texts, and others write them. Below is a writing task. Cut it into paragraphs, and say of each what it \
is about and how long it is to be.

Write one line for each paragraph, in the order of the text, in this form:

Paragraph 1 - Main point: what it says, in some detail - Words: 400
Paragraph 2 - Main point: what it says, in some detail - Words: 700

A paragraph has 200 to 1000 words. Together the paragraphs do all that the task asks for, and their words add up to \
the length that it asks for. Write in the language of the task, and nothing but these lines.

The task:
{instruction}"""

WRITE = """\
You write a long text, one paragraph at a time. Below are the task, the plan of the whole text, what is written so \
far, and the line of the plan that comes next. Write the paragraph of that line, and no other.

Go on from where the text ends, without repeating it, in the same language and style; keep to the main point and to \
the number of words that the line gives. This is not the end of the text unless the line is the last one: no summary, \
no closing remark, no outlook on what follows. Write the paragraph alone, without the line itself.

The task:
{instruction}

The plan:
{plan}

Written so far:
{text}

The line to write now:
{line}"""


class AgentWriteParams(Params):
    """A plan with more than `max_paragraphs` lines is not written; `max_tokens` is for a plan or a paragraph."""

    max_paragraphs: int = Field(50, ge=1)
    temperature: float = Field(1.0, ge=0)
    max_tokens: int = Field(4096, ge=1)


def _asks(params: AgentWriteParams) -> list[Asks]:
    """A plan, then its paragraphs; each is asked for with the plan and all that is written so far."""
    few, many = tokens_in(WRITE)
    reply = (0, params.max_tokens)
    shown = (params.max_paragraphs + 1) * params.max_tokens
    return [
        Asks((1, 1), prompt=tokens_in(PLAN), reply=reply),
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
        given = {"plan": "\n".join(plan), "text": "\n\n".join(paragraphs), "line": line}
        answer = await _ask(fill(WRITE, {"instruction": instruction, **given}), row["row_id"], number, params, ctx)
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
    answer = await _ask(fill(PLAN, {"instruction": instruction}), row_id, 0, params, ctx)
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
