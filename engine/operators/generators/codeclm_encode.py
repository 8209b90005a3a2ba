"""`generate: codeclm_encode`: seed instructions to metadata, a use case and the skills that an answer takes.

The encoder of CodecLM (Wang et al., arXiv 2404.05875, section 3.2). The vocabulary is free.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.operator import Context, Params, Reads, Row, generator
from engine.operators._codeclm import StageParams, ask_until_read
from engine.operators._prompts import Template, fill, shipped
from engine.request import Capability
from engine.schema import TEXT_TYPE

_LINE = re.compile(r"^[ \t#*_+-]*(use case|task|skills)[ \t*_]*:(.*)$", re.IGNORECASE | re.MULTILINE)


class EncodePrompts(Params):
    """The prompt, with three short examples; `{count}` is `max_skills`."""

    encode: Annotated[str, Template("instruction")] = shipped("codeclm_encode/encode")


class CodecLMEncodeParams(StageParams):
    """Of more than `max_skills` skills the first count."""

    max_skills: int = Field(3, ge=1)
    max_tokens: int = Field(256, ge=1)
    prompts: EncodePrompts = EncodePrompts()


class Metadata(NamedTuple):
    """What an instruction is for, and what it takes."""

    use_case: str
    skills: list[str]


@generator(
    params=CodecLMEncodeParams,
    reads={"instruction": Reads(TEXT_TYPE, default=("instruction", "prompt", "text"))},
    writes={
        "seed_instruction": pa.string(),
        "use_case": pa.string(),  # null, as are the skills, where no reply could be read
        "skills": pa.list_(pa.string()),
        "raw": pa.string(),  # the last reply
        "reason": pa.string(),  # why it can't be read
        "tries": pa.int32(),  # replies that were asked for
    },
    needs={Capability.CHAT},
    asks=lambda params: params.asks(params.prompts.encode),
    gives=lambda _params, rows: (rows, rows),
)
async def codeclm_encode(row: Row, params: CodecLMEncodeParams, ctx: Context) -> list[dict[str, Any]]:
    """Asks for the use case of an instruction and for the skills that it takes; one row for each seed.

    A seed whose metadata can't be read in `tries` replies keeps its row, without metadata and with the reason.

    Raises:
        RowError: there is no instruction.
    """
    instruction = row["instruction"]
    if not instruction:
        raise RowError("the instruction is null or empty")
    asked = fill(params.prompts.encode, {"instruction": instruction, "count": str(params.max_skills)})
    found = await ask_until_read(asked, read_metadata, row["row_id"], params, ctx)
    use_case, skills = found.value or (None, None)
    return [
        {
            "seed_instruction": instruction,
            "use_case": use_case,
            "skills": skills and skills[: params.max_skills],
            "raw": found.raw,
            "reason": found.reason,
            "tries": found.tries,
        }
    ]


def read_metadata(reply: str) -> Metadata:
    """Reads the line `Use case:` or `Task:`, and the line `Skills:` with commas; each once, in any order.

    A reply with several of a line (one that repeats the examples of the prompt) says nothing certain.

    Raises:
        RowError: a line is missing, empty or there more than once.
    """
    lines = [(name.lower(), text.strip(" \t\r*_")) for name, text in _LINE.findall(reply)]
    use_cases = [text for name, text in lines if name != "skills"]
    listed = [text for name, text in lines if name == "skills"]
    for what, found in (("use case", use_cases), ("skills", listed)):
        if len(found) != 1:
            raise RowError(f"{len(found)} lines: {what}" if found else f"no line: {what}")
    skills = [skill for part in listed[0].split(",") if (skill := part.strip(" \t*_.\"'"))]
    if not use_cases[0] or not skills:
        raise RowError("the line with the skills is empty" if use_cases[0] else "the line with the use case is empty")
    return Metadata(use_cases[0], list(dict.fromkeys(skills)))
