"""`score: metadata_plausibility`: whether a use case and skills that were put together go together.

In CodecLM (Wang et al., arXiv 2404.05875) a human looks through the mixed pairs; here a model may do it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.operator import Context, Params, Row, scorer
from engine.operators._codeclm import METADATA, StageParams, ask_until_read, metadata_of
from engine.operators._prompts import Template, fill, shipped
from engine.request import Capability

_FIRST_WORD = re.compile(r"[^A-Za-z]*(yes|no)\b", re.IGNORECASE)


class PlausibilityPrompts(Params):
    """The question, to be answered by yes or no."""

    check: Annotated[str, Template("use_case", "skills")] = shipped("metadata_plausibility/check")


class MetadataPlausibilityParams(StageParams):
    """Greedy; where replies can't be read, raise the temperature and the `tries`."""

    tries: int = Field(1, ge=1)
    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(256, ge=1)
    prompts: PlausibilityPrompts = PlausibilityPrompts()


@scorer(
    params=MetadataPlausibilityParams,
    reads=METADATA,
    writes={"plausible": pa.bool_(), "plausible_raw": pa.string()},
    needs={Capability.CHAT},
    seeded=True,
    asks=lambda params: params.asks(params.prompts.check),
)
async def metadata_plausibility(row: Row, params: MetadataPlausibilityParams, ctx: Context) -> dict[str, Any]:
    """Asks whether a task of the use case could need all of the skills; null where the reply says neither yes nor no.

    Raises:
        RowError: there is no use case or no skill.
    """
    use_case, skills = metadata_of(row)
    asked = fill(params.prompts.check, {"use_case": use_case, "skills": ", ".join(skills)})
    found = await ask_until_read(asked, read_yes_or_no, row["row_id"], params, ctx)
    return {"plausible": found.value, "plausible_raw": found.raw}


def read_yes_or_no(reply: str) -> bool:
    """The first word of a reply.

    Raises:
        RowError: it is neither yes nor no.
    """
    found = _FIRST_WORD.match(reply)
    if found is None:
        raise RowError("the reply begins neither with yes nor with no")
    return found[1].lower() == "yes"
