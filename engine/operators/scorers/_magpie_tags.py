"""What the tags of Magpie share: one user prompt a tag, a reply that is begun with `{`, and how it is read.

The reply is not stopped at its first `}`, as the official script does it: an explanation that holds a brace would
break. It runs to the end of the turn, and the first whole JSON object of it counts. Each tag is a scorer of its own,
so that one that can't be read loses no other. The tags `safety` and `language` need a guard model and a detector, and
have no scorer here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from engine.errors import RowError
from engine.needs import Asks, tokens_in
from engine.operator import Context, Params, Reads, Row
from engine.request import Sampling
from engine.schema import TEXT_TYPE

READS = {"instruction": Reads(TEXT_TYPE)}
_DECODER = json.JSONDecoder(strict=False)  # models put line breaks into strings


class TagParams(Params):
    """`max_tokens` is the most that the judge may write."""

    max_tokens: int = Field(1024, ge=1)


def tag_asks(prompt: str, params: TagParams) -> list[Asks]:
    """One call about the instruction."""
    return [Asks((1, 1), prompt=tokens_in(prompt), reply=(0, params.max_tokens))]


async def ask(row: Row, prompt: str, params: TagParams, ctx: Context) -> Mapping[str, Any]:
    """The judge's JSON object about a row's instruction; greedy.

    Args:
        row: has `instruction`.
        prompt: the question, with `{instruction}` where the instruction goes.
        params: the tag's.
        ctx: its model shows its chat template and takes raw prompts.

    Raises:
        RowError: there is no instruction, or the reply has no JSON object.
    """
    instruction = row["instruction"]
    if not instruction:
        raise RowError("the instruction is null or empty")
    turns = [{"role": "user", "content": prompt.replace("{instruction}", instruction)}]
    begun = await ctx.model.render(turns, add_generation_prompt=True) + "{"
    sampling = Sampling(temperature=0.0, max_tokens=params.max_tokens)
    answer = await ctx.model.generate(begun, draw=0, sampling=sampling)
    return read_object("{" + (answer.text or ""))


def read_object(text: str) -> Mapping[str, Any]:
    """The first JSON object of a text that begins with one; what follows is not read.

    Raises:
        RowError: the text does not begin with a whole JSON object.
    """
    try:
        found, _ = _DECODER.raw_decode(text)
    except json.JSONDecodeError as e:
        raise RowError(f"the judge's reply is no JSON object ({e.msg} at character {e.pos}): {text[:200]}") from None
    if not isinstance(found, dict):
        raise RowError(f"the judge's reply is no JSON object: {text[:200]}")
    return found


def label(found: Mapping[str, Any], key: str, known: Sequence[str]) -> str:
    """The label under a key, in the spelling of `known`.

    Raises:
        RowError: the key is missing, or its value is none of the labels.
    """
    spelt = {name.lower(): name for name in known}
    value = found.get(key)
    name = spelt.get(value.strip().lower()) if isinstance(value, str) else None
    if name is None:
        raise RowError(f"the judge's {key} is {value!r}, none of: {', '.join(known)}")
    return name


def text(found: Mapping[str, Any], key: str) -> str:
    """The text under a key.

    Raises:
        RowError: the key is missing, or its value is no text.
    """
    value = found.get(key)
    if not isinstance(value, str):
        raise RowError(f"the judge's {key} is {value!r}, not a text")
    return value
