"""The black box as `generate: cyclealign` asks it: which demonstrations it is shown, its prompt, and its reply."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import RowError
from engine.needs import SideTable
from engine.operators._prompts import fill
from engine.operators._transcript import transcript
from engine.operators.generators._cyclealign_params import LETTERS, CyclealignPrompts
from engine.operators.generators.respond import prompt_turns

CUT = " [...] "
_LEAST = 20  # characters of a text that is cut
_CHAIN = re.compile(r"\b[A-Z]\b(?:[\s*()\[\]\"'`]*>[\s*()\[\]\"'`]*\b[A-Z]\b)+", re.IGNORECASE)


@dataclass(frozen=True)
class Demo:
    """A case that was ranked: its answers in their own order, and the order of quality."""

    row_id: str
    prompt: str
    responses: Sequence[str]
    ranking: Sequence[int]


def shown_demos(side: SideTable | None, most: int, without: set[str], *, newest: bool) -> list[Demo]:
    """Up to `most` demonstrations of a side table in its order, one for each prompt.

    Args:
        side: the table; None gives none.
        most: how many.
        without: the prompts that must not be shown, as transcripts; the chosen ones are added.
        newest: whether they are counted from the table's end.

    Raises:
        RowError: a demonstration that would be shown has no prompt, or no ranking of its answers.
    """
    rows = [] if side is None else side.rows
    found: list[Demo] = []
    for row in reversed(rows) if newest else rows:
        if len(found) == most:
            break
        demo = _demo(row)
        if demo.prompt not in without:
            without.add(demo.prompt)
            found.append(demo)
    return found[::-1] if newest else found


def ranking_prompt(
    prompts: CyclealignPrompts, demos: Iterable[Demo], prompt: str, answers: Sequence[str], demo_chars: int
) -> str:
    """The prompt for the black box: demonstrations, cut where they are long, and the query, which never is.

    A demonstration's answers stand in the order of their indices, not of their quality, and so always the same way:
    all queries of a cycle begin with the same text.
    """
    shown = [_shown(demo, prompts, demo_chars) for demo in demos]
    values = {"demonstrations": "".join(f"{one}\n\n" for one in shown), "case": _case(prompts, prompt, answers)}
    return fill(prompts.rank, values)


def read_ranking(reply: str, order: Sequence[int]) -> list[int] | None:
    """The answers' indices from a reply such as "B > A > C"; None unless it ranks all, in one way.

    Read are the first and the last line that say anything: a reply that repeats the prompt has the rankings of
    demonstrations between them.

    Args:
        reply: of the black box.
        order: the answer behind each letter.
    """
    labels, lines = LETTERS[: len(order)], reply.strip().splitlines()
    found = (chain[0].upper() for line in (*lines[:1], *lines[-1:]) for chain in _CHAIN.finditer(line))
    chains = {"".join(filter(str.isalpha, chain)) for chain in found}
    whole = [chain for chain in chains if sorted(chain) == list(labels)]
    return [order[labels.index(letter)] for letter in whole[0]] if len(whole) == 1 else None


def _demo(row: dict[str, Any]) -> Demo:
    responses, ranking = row["responses"] or [], row["ranking"] or []
    if len(ranking) < 2 or len(set(ranking)) < len(ranking) or not set(ranking) <= set(range(len(responses))):
        raise RowError(
            f"demonstration {row['row_id']}: its ranking is {ranking}, and it has {len(responses)} responses",
            cure="a ranking names two or more different responses by their places, from 0",
        )
    if any(not responses[i] for i in ranking):
        raise RowError(f"demonstration {row['row_id']}: a response that its ranking names is null or empty")
    try:
        turns = prompt_turns(row["prompt"], None)
    except RowError as e:
        raise RowError(f"demonstration {row['row_id']}: {e.message}") from e
    return Demo(row["row_id"], transcript(turns), responses, ranking)


def _shown(demo: Demo, prompts: CyclealignPrompts, chars: int) -> str:
    """A demonstration as the query will look, and its ranking; of its answers, those that were ranked."""
    places = sorted(demo.ranking)
    answers = [demo.responses[i] for i in places]
    most = _limit([len(demo.prompt), *map(len, answers)], chars)
    prompt = demo.prompt if len(demo.prompt) <= most else CUT.lstrip() + demo.prompt[-most:]
    case = _case(prompts, prompt, [text if len(text) <= most else text[:most] + CUT.rstrip() for text in answers])
    return f"{case}\n\nRanking: {' > '.join(LETTERS[places.index(i)] for i in demo.ranking)}"


def _case(prompts: CyclealignPrompts, prompt: str, answers: Sequence[str]) -> str:
    listed = "\n\n".join(f"[{letter}]\n{text}" for letter, text in zip(LETTERS, answers, strict=False))
    return fill(prompts.case, {"prompt": prompt, "answers": listed})


def _limit(lengths: Sequence[int], most: int) -> int:
    """To what length texts are cut so that they have `most` characters together: the longest lose, short ones don't."""
    rest = most
    for left, length in zip(range(len(lengths), 0, -1), sorted(lengths), strict=True):
        if length > rest // left:
            return max(rest // left, _LEAST)
        rest -= length
    return max(lengths)
