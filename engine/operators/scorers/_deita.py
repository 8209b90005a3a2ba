"""What `score: deita_complexity` and `score: deita_quality` share: the prompts, and a score read off six digits.

The scorers of Liu et al., "What Makes Good Data for Alignment?" (arXiv 2312.15685). The two prompts are those that
the released checkpoints were trained on, byte for byte (hkust-nlp/deita, src/deita/selection/scorer/llama_scorer.py).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.needs import Asks, tokens_in
from engine.operator import Context, Params
from engine.operators._answers import all_of
from engine.operators._rating import expectation

DIGITS = ("1", "2", "3", "4", "5", "6")
COMPLEXITY = (
    "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
    "##Query: {instruction}  \n##Complexity: "
)
QUALITY = (
    "You are a helpful assistant. Please identify the quality score of the Response corresponding to the Question. \n"
    " #Question#:\n{instruction}\n#Response#:\n{response} \n##Quality: "
)
LOW_MASS = 0.5  # below it the model hardly means to write a digit
TURNS = 16  # user turns that a conversation is taken to have at most, for a plan of rows that are not there
FALLBACK = 3.0  # what the reference implementation gives where it can't read a score
_FIELD = re.compile(r"\{(instruction|response)\}")


class ScorerParams(Params):
    """How a deita scorer is asked.

    `template` is `deita` (the reference's plain text), `chat` (the same text as a user's turn, through the model's chat
    template) or a text of one's own with `{instruction}` (and `{response}`). `agg` makes one number of the turns'
    scores; the reference's sum favours long conversations. `max_length` is the most characters of a filled prompt:
    characters, because a server does not tell how many tokens it makes of them. With `compat` a turn whose digits can't
    all be seen scores 3.0, as in the reference; without it the row's score is null.
    """

    template: str = Field("deita", min_length=1)
    agg: Literal["sum", "mean", "max"] = "sum"
    max_length: int | None = Field(None, ge=1)
    compat: bool = False


class Turn(NamedTuple):
    """A user's turn and the reply to it, "" where there is none."""

    instruction: str
    response: str


@dataclass(frozen=True)
class Reading:
    """One turn's score in [1, 6], the probability of the six digits together, and how it came to be."""

    score: float
    mass: float
    status: str


def scorer_columns(name: str) -> dict[str, pa.DataType]:
    """The columns of `complexity` or `quality`; those that both have in common are told apart by the name."""
    return {
        f"{name}_scores": pa.list_(pa.float32()),  # one for each user turn
        name: pa.float32(),
        f"{name}_digit_mass": pa.float32(),  # the least of any turn
        f"{name}_status": pa.string(),  # the first of these that holds: fallback, truncated, low_mass, ok
    }


def check_template(template: str, fields: set[str]) -> None:
    """Whether a template of one's own has exactly these fields; raises `ValueError`."""
    found = set(_FIELD.findall(template))
    if template not in ("deita", "chat") and found != fields:
        wanted = " and ".join(f"{{{field}}}" for field in sorted(fields))
        raise ValueError(f"template: write deita, chat, or a text with {wanted}")


def turns_of(messages: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """Each user's turn with its reply: the last text of an assistant before the next user's turn.

    Raises:
        RowError: there is no user's turn, or one has no text.
    """
    pairs: list[list[str]] = []
    for message in messages:
        if message["role"] == "user":
            pairs.append([message["content"] or "", ""])
        elif message["role"] == "assistant" and pairs:
            pairs[-1][1] = message["content"] or pairs[-1][1]
    empty = [i for i, (instruction, _) in enumerate(pairs, 1) if not instruction]
    if empty or not pairs:
        raise RowError(f"user turn {empty[0]} has no text" if empty else "there is no user's turn")
    return [Turn(*pair) for pair in pairs]


def deita_asks(prompt: str, params: ScorerParams) -> list[Asks]:
    """A call for each user turn; all of them together hold the conversation once."""
    template = tokens_in(prompt if params.template in ("deita", "chat") else params.template)
    few, many = (0, template[1]) if params.max_length else template
    return [Asks((1, 1), prompt=(few, many)), Asks((0, TURNS - 1), prompt=(few, many))]


async def score_turns(name: str, prompt: str, turns: Sequence[Turn], params: ScorerParams, ctx: Context) -> Any:
    """The columns of `name` for one row; every turn is scored alone, without the turns before it.

    Raises:
        RowError: the prompt can't be cut to `max_length`, or a digit can't be seen.
    """
    calls = [_score_turn(prompt, turn, params, ctx) for turn in turns]
    readings = [await calls[0]] if len(calls) == 1 else await all_of(calls)  # no task for a single call
    scores = [reading.score for reading in readings]
    total = {"sum": math.fsum(scores), "mean": math.fsum(scores) / len(scores), "max": max(scores)}[params.agg]
    mass = min(reading.mass for reading in readings)
    told = {reading.status for reading in readings} | ({"low_mass"} if mass < LOW_MASS else set())
    status = next((s for s in ("fallback", "truncated", "low_mass") if s in told), "ok")
    return {f"{name}_scores": scores, name: total, f"{name}_digit_mass": mass, f"{name}_status": status}


async def _score_turn(prompt: str, turn: Turn, params: ScorerParams, ctx: Context) -> Reading:
    template = prompt if params.template in ("deita", "chat") else params.template
    text, cut = filled(template, turn, params.max_length)
    if params.template == "chat":
        shown = await ctx.model.next_token_logprobs(DIGITS, messages=[{"role": "user", "content": text}])
    else:
        shown = await ctx.model.next_token_logprobs(DIGITS, prompt=text)
    logprobs = [shown[digit] for digit in DIGITS]
    hidden = [digit for digit, p in zip(DIGITS, logprobs, strict=True) if p == -math.inf]
    mass = math.fsum(map(math.exp, logprobs))
    if not hidden:
        return Reading(expectation(logprobs), mass, "truncated" if cut else "ok")
    if params.compat:
        return Reading(FALLBACK, mass, "fallback")
    raise RowError(
        f"the model shows no log-probability of {', '.join(hidden)} as the next token: it is not among the most likely "
        "ones, and the server shows no others"
    )


def filled(template: str, turn: Turn, limit: int | None) -> tuple[str, bool]:
    """The template with a turn's texts, and whether it was cut to `limit` characters.

    Only the last field's text is cut (the response where there is one), never the marker after it.

    Raises:
        RowError: the rest alone is too long.
    """
    parts = _FIELD.split(template)  # texts at even places, names of fields at odd ones
    parts[1::2] = [getattr(turn, field) for field in parts[1::2]]
    over = 0 if limit is None else sum(map(len, parts)) - limit
    if over <= 0:
        return "".join(parts), False
    kept = len(parts[-2]) - over
    if kept <= 0:
        raise RowError(f"the prompt is longer than max_length even without the text to cut, by {-kept} characters")
    parts[-2] = parts[-2][:kept]
    return "".join(parts), True
