"""`generate: codeclm_decode`: metadata to basic instructions, the same number for each pair.

The decoder of CodecLM (Wang et al., arXiv 2404.05875, section 3.2): one prompt asks for a numbered list, and shows no
instruction that could be copied.
"""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.operator import Context, Params, Reads, Row, generator
from engine.operators._codeclm import METADATA, TEXTS_TYPE, StageParams, metadata_of
from engine.operators._lists import numbered
from engine.operators._prompts import Template, fill, shipped
from engine.request import Answer, Capability
from engine.schema import TEXT_TYPE


class DecodePrompts(Params):
    """The prompt; `{count}` is `per_pair`."""

    decode: Annotated[str, Template("use_case", "skills", "count")] = shipped("codeclm_decode/decode")


class CodecLMDecodeParams(StageParams):
    """`per_pair` instructions of each pair: the paper's 2,000 rows out of 200 pairs are 10."""

    per_pair: int = Field(10, ge=1)
    prompts: DecodePrompts = DecodePrompts()


@generator(
    params=CodecLMDecodeParams,
    reads={
        **METADATA,
        "metadata_id": Reads(TEXT_TYPE, optional=True),
        "actions": Reads(TEXTS_TYPE, optional=True),
    },
    writes={
        "instruction": pa.string(),
        "metadata_id": pa.string(),  # the row's id where the metadata has none
        "use_case": pa.string(),
        "skills": pa.list_(pa.string()),
        "actions": pa.list_(pa.string()),  # those of the metadata, for `generate: codeclm`
        "number": pa.int32(),  # place in the list, from 1
        "listed": pa.int32(),  # distinct instructions of its list, which may be too few or too many
        "raw": pa.string(),  # the reply
        "tries": pa.int32(),  # replies that were asked for
    },
    needs={Capability.CHAT},
    asks=lambda params: params.asks(params.prompts.decode),
    gives=lambda params, rows: (rows, rows * params.per_pair),
)
async def codeclm_decode(row: Row, params: CodecLMDecodeParams, ctx: Context) -> list[dict[str, Any]]:
    """Asks for `per_pair` instructions of a use case that take given skills, in one numbered list.

    A list with too few is asked for again, up to `tries` times; if none is long enough, the longest one counts. Of a
    list with too many, the first ones are taken. The last item of a list that was cut off is left out.

    Raises:
        RowError: there is no use case or no skill, or no reply had a numbered list.
    """
    use_case, skills = metadata_of(row)
    values = {"use_case": use_case, "skills": ", ".join(skills), "count": str(params.per_pair)}
    asked = fill(params.prompts.decode, values)
    best: list[str] = []
    raw: str | None = None
    for attempt in range(params.tries):
        answer = await params.ask(asked, row["row_id"], attempt, ctx)
        found = read_instructions(answer)
        if len(found) > len(best):
            best, raw = found, answer.text
        if len(best) >= params.per_pair:
            break
    if not best:
        raise RowError(f"no numbered list of instructions in {params.tries} replies")
    shared = {
        "metadata_id": row.get("metadata_id") or row["row_id"], "use_case": use_case, "skills": skills,
        "actions": row.get("actions"),
        "listed": len(best), "raw": raw, "tries": attempt + 1,
    }  # fmt: skip
    return [{"instruction": text, "number": k, **shared} for k, text in enumerate(best[: params.per_pair], 1)]


def read_instructions(answer: Answer) -> list[str]:
    """The distinct items of a reply's list that say anything, without one that is cut off."""
    items = numbered(answer.text or "", "instruction")
    whole = items[:-1] if answer.finish_reason == "length" else items
    return list(dict.fromkeys(filter(None, whole)))
