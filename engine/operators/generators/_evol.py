"""What `generate: evol_complexity` and `generate: evol_quality` share: a chain of rewrites, and its joint ranking.

How the scorers' training data comes to be (Liu et al., arXiv 2312.15685, sections 3.1 and 3.2). All variants of a chain
are scored in one prompt, since scores given one by one pile up on a few values. Ours: the variants are shuffled in
that prompt, so that a place in it tells nothing, and a reply that can't be read is asked for again, then left null.
The texts of the prompts are in `_evol_prompts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
from pydantic import Field

from engine.errors import RowError
from engine.needs import Asks, tokens_in
from engine.operator import Context, Params
from engine.operators._prompts import Template, fill
from engine.request import Sampling

WRITES = {
    "instruction": pa.string(),
    "response": pa.string(),
    "variant": pa.int32(),  # 0 is the seed, i what i rewrites made of it
    "evolution": pa.string(),  # the operator of the last rewrite; null for the seed
    "score": pa.int32(),  # 1 to 6; null where no ranking could be read
    "position": pa.int32(),  # where the variant stood in the prompt that was answered, from 0
    "retries": pa.int32(),  # rankings that could not be read
    "prompt": pa.string(),  # of the scorer that is to be trained
    "completion": pa.string(),  # the score as a digit
}
UNLIMITED = 4096  # tokens that a rewrite is taken to have at most where the model alone limits it
_LINE = re.compile(r"^[ \t*]*\[(?:Response )?(\d+)\][ \t*]*Score:[ \t*]*(\d+)(?![\d.,/]*\d)", re.MULTILINE)


class EvolParams(Params):
    """`rounds` rewrites a row, then one prompt that ranks them all; that one is asked again up to `retries` times.

    `operators` are ways to rewrite by their names, `evolve` and `rank` the prompts; without them those of the paper, in
    words of ours. Sampling fields that are given override the model's own.
    """

    rounds: int = Field(5, ge=1)
    retries: int = Field(2, ge=0)
    operators: dict[str, str] | None = Field(None, min_length=1)
    evolve: Annotated[str, Template("method")] | None = None
    rank: Annotated[str, Template("variants")] | None = None
    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)

    @property
    def sampling(self) -> Sampling:
        """The given sampling fields."""
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)


class Variant(NamedTuple):
    """One text of a chain, and the operator that made it."""

    text: str
    evolution: str | None


@dataclass(frozen=True)
class Ranking:
    """The scores of a chain's variants in the order of the chain (None: unreadable), and how they were asked for."""

    scores: Sequence[int | None]
    positions: Sequence[int]
    retries: int


def asks_with(evolve: str, operators: Mapping[str, str], ranks: str) -> Callable[[EvolParams], list[Asks]]:
    """The rewrites, and a ranking that is read at once or asked for again, with prompts that a spec may replace."""

    def asks(params: EvolParams) -> list[Asks]:
        few, many = tokens_in(params.evolve or evolve)
        methods = [tokens_in(text)[1] for text in (params.operators or operators).values()]
        ranked = tokens_in(params.rank or ranks)
        reply = None if params.max_tokens is None else (0, params.max_tokens)
        longest = params.max_tokens or UNLIMITED
        return [
            Asks((params.rounds, params.rounds), prompt=(few, many + max(methods) + longest), reply=reply),
            Asks((1, 1 + params.retries), prompt=(ranked[0], ranked[1] + params.rounds * longest), reply=reply),
        ]

    return asks


def gives(params: EvolParams, rows: int) -> tuple[int, int]:
    """The seed and its rewrites."""
    return (params.rounds + 1) * rows, (params.rounds + 1) * rows


async def chain_of(
    text: str, field: str, prompt: str, operators: Mapping[str, str], given: Mapping[str, str], row_id: str,
    params: EvolParams, ctx: Context,
) -> list[Variant]:  # fmt: skip
    """The text and its rewrites, each made of the one before it; the operator of a round is the row's draw.

    Args:
        text: the seed.
        field: the field of `prompt` where the text to be rewritten goes.
        prompt: the request to rewrite, with `{method}`.
        operators: the ways to rewrite.
        given: further fields of the prompt.
        row_id: of the seed.
        params: the operator's.
        ctx: the operator's.

    Raises:
        RowError: a rewrite is empty.
    """
    chain, names = [Variant(text, None)], list(operators)
    for number in range(1, params.rounds + 1):
        name = names[int(ctx.rng(row_id, number).integers(len(names)))]
        asked = fill(prompt, {**given, "method": operators[name], field: chain[-1].text})
        written = await _say(asked, row_id, number, params, ctx)
        if not written:
            raise RowError(f"rewrite {number} of {params.rounds} ({name}) is empty")
        chain.append(Variant(written, name))
    return chain


async def rank(
    chain: Sequence[Variant], label: str, prompt: str, given: Mapping[str, str], row_id: str, params: EvolParams,
    ctx: Context,
) -> Ranking:  # fmt: skip
    """Scores all variants in one prompt; every attempt shuffles them anew, so that a greedy model is asked another way.

    Args:
        chain: the variants.
        label: what stands before a variant's number in the prompt ("Response ", or nothing).
        prompt: the request to rank, with `{variants}`.
        given: further fields of the prompt.
        row_id: of the seed.
        params: the operator's.
        ctx: the operator's.
    """
    for attempt in range(params.retries + 1):
        number = params.rounds + 1 + attempt
        order = ctx.rng(row_id, number).permutation(len(chain)).tolist()  # the chain's variant at each place
        variants = "\n\n".join(f"[{label}{place}]\n{chain[i].text}" for place, i in enumerate(order, 1))
        asked = fill(prompt, {**given, "variants": variants, "count": str(len(chain))})
        scores = read_scores(await _say(asked, row_id, number, params, ctx), len(chain))
        if scores is not None:
            break
    positions = sorted(range(len(order)), key=order.__getitem__)
    read = [None] * len(chain) if scores is None else [scores[place] for place in positions]
    return Ranking(read, positions, attempt + (scores is None))


def read_scores(reply: str, count: int) -> list[int] | None:
    """The score of each place, from lines `[k] Score: s` or `[Response k] Score: s`; None if the reply lacks any.

    What follows a score on its line is not read, unless it makes another number of it (3.5, 4/5). A reply counts as a
    whole or not at all: scores mean something only beside each other.
    """
    lines = [(int(place), int(score)) for place, score in _LINE.findall(reply)]
    found = dict(lines)
    whole = len(lines) == count and sorted(found) == list(range(1, count + 1))
    return [found[place] for place in sorted(found)] if whole and set(found.values()) <= set(range(1, 7)) else None


def children(chain: Sequence[Variant], ranking: Ranking, texts: Sequence[Mapping[str, str | None]]) -> list[Any]:
    """The new rows; `texts` holds each variant's instruction, response and scorer prompt."""
    return [
        {
            **own, "variant": i, "evolution": variant.evolution, "score": score, "position": position,
            "retries": ranking.retries, "completion": None if score is None else str(score),
        }
        for i, (own, variant, score, position) in enumerate(
            zip(texts, chain, ranking.scores, ranking.positions, strict=True)
        )
    ]  # fmt: skip


async def _say(asked: str, row_id: str, number: int, params: EvolParams, ctx: Context) -> str:
    turns = [{"role": "user", "content": asked}]
    answer = await ctx.model.chat(turns, draw=ctx.draw(row_id, number), sampling=params.sampling)
    return (answer.text or "").strip()
