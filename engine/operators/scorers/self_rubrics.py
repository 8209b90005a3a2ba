"""`score: self_rubrics`: how instructions of a use case can be difficult, and what makes them so.

The Self-Rubrics of CodecLM (Wang et al., arXiv 2404.05875, section 3.3), asked for once for each pair of a use case and
skills. The rewriting by these actions is `generate: codeclm`.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.operator import Context, Params, Row, scorer
from engine.operators._codeclm import METADATA, StageParams, ask_until_read, metadata_of
from engine.operators._lists import labelled
from engine.operators._prompts import Template, fill, shipped
from engine.request import Capability


class RubricsPrompts(Params):
    """The prompt; it must ask for two lists with the words "Rubrics" and "Actions" over them or in their items."""

    rubrics: Annotated[str, Template("use_case", "skills", "count")] = shipped("self_rubrics/rubrics")


class SelfRubricsParams(StageParams):
    """`count` rubrics, and as many actions."""

    count: int = Field(4, ge=1)
    max_tokens: int = Field(1024, ge=1)
    prompts: RubricsPrompts = RubricsPrompts()


class Rubrics(NamedTuple):
    """The k-th action makes an instruction harder in the sense of the k-th rubric."""

    rubrics: list[str]
    actions: list[str]


@scorer(
    params=SelfRubricsParams,
    reads=METADATA,
    writes={
        "rubrics": pa.list_(pa.string()),  # null, as are the actions, where no reply could be read
        "actions": pa.list_(pa.string()),
        "rubrics_raw": pa.string(),  # the last reply
        "rubrics_reason": pa.string(),  # why it can't be read
        "rubrics_tries": pa.int32(),  # replies that were asked for
    },
    needs={Capability.CHAT},
    seeded=True,
    asks=lambda params: params.asks(params.prompts.rubrics),
)
async def self_rubrics(row: Row, params: SelfRubricsParams, ctx: Context) -> dict[str, Any]:
    """Asks an expert of a use case for rubrics of difficulty, and for actions that make instructions harder.

    Only a reply with exactly `count` of both counts. Without one in `tries` replies, both are null, with the reason.

    Raises:
        RowError: there is no use case or no skill.
    """
    use_case, skills = metadata_of(row)
    values = {"use_case": use_case, "skills": ", ".join(skills), "count": str(params.count)}
    asked = fill(params.prompts.rubrics, values)
    found = await ask_until_read(asked, partial(read_rubrics, count=params.count), row["row_id"], params, ctx)
    rubrics, actions = found.value or (None, None)
    return {
        "rubrics": rubrics,
        "actions": actions,
        "rubrics_raw": found.raw,
        "rubrics_reason": found.reason,
        "rubrics_tries": found.tries,
    }


def read_rubrics(reply: str, count: int) -> Rubrics:
    """Reads both lists, one after the other or with their items in turns.

    Raises:
        RowError: one list has not `count` items, or two items say the same.
    """
    lists = labelled(reply, ("rubric", "action"))
    for label, items in lists.items():
        if len(items) != count:
            raise RowError(f"{len(items)} {label}s instead of {count}")
    rubrics, actions = lists.values()
    if len({item.casefold() for item in filter(None, rubrics + actions)}) < 2 * count:
        raise RowError("a rubric or an action is empty or there twice")
    return Rubrics(rubrics, actions)
