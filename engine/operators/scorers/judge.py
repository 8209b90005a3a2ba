"""`score: judge`: which of two answers a judge prefers, asked in both orders, and how far its word can be trusted.

The pairwise judge of MT-bench (Zheng et al., arXiv 2306.05685, sections 3.1 to 3.4): what it prefers in one order and
not in the other is a tie. Its parameters and columns are in `_judge_params`, what gold pairs say of it in
`_judge_gold`. That it judges nothing of its own is seen to by the plan (`Role.impartial`) and by the authors' columns.
"""

from __future__ import annotations

from typing import Any

from engine.errors import RowError
from engine.model import Model
from engine.operator import Context, Reads, Row, scorer
from engine.operators._pairwise import Reply, ask_both_orders, mean_marks
from engine.operators._transcript import transcript
from engine.operators.scorers._judge_gold import CHOSEN, GOLD, LABELS, REJECTED, TIE, read_gold, same_model
from engine.operators.scorers._judge_params import JudgeParams, Opinion, asks, roles, writes
from engine.schema import ANY_TYPE, PROMPT_TYPE, TEXT_TYPE


@scorer(
    params=JudgeParams,
    reads={
        "prompt": Reads(PROMPT_TYPE, default=("prompt", "instruction")),
        "chosen": Reads(PROMPT_TYPE),
        "rejected": Reads(PROMPT_TYPE),
        "label": Reads(ANY_TYPE, optional=True),
        "author_chosen": Reads(TEXT_TYPE, optional=True),
        "author_rejected": Reads(TEXT_TYPE, optional=True),
    },
    writes=writes,
    roles=roles,
    sides={"gold": GOLD},
    asks=asks,
    seeded=True,
)
async def judge(row: Row, params: JudgeParams, ctx: Context) -> dict[str, Any]:
    """Asks a judge which of two answers is better, once in each order; where the orders differ, it is a tie.

    The answers are the columns `chosen` and `rejected`, and the verdict names one of them, whatever columns the spec
    points them at. A conversation is shown as a transcript, an answer of one turn as its text. An empty answer is
    judged like any other. A reply that can't be read leaves the verdict null, with the reason; the replies are kept.

    With the table `gold` (pairs with a `label`, judged by the same model with the same params) the judge is asked only
    if it agrees with the labels often enough: ties count like any verdict, a pair without a label is left out, and one
    whose replies could not be read counts against the judge.

    Raises:
        RowError: the gold pairs speak against the judge; there is no prompt or no answer; or `author_chosen` or
            `author_rejected` is the judge itself.
        ModelError: a call failed.
    """
    model = ctx.model
    known = f"{model.name}@{model.identity[:12]}"
    if params.min_agreement is not None:
        refused = ctx.sides["gold"].once(read_gold).refusal(known, params.protocol, params.min_agreement)
        if refused is not None:
            raise RowError(refused)
    prompt, answers = _shown(row)
    if not params.allow_self:
        _check_authors(row, model, known)

    async def ask(asked: str, order: int, attempt: int) -> str:
        turns, drawn = [{"role": "user", "content": asked}], ctx.draw(row["row_id"], 2 * attempt + order)
        return (await model.chat(turns, draw=drawn, sampling=params.sampling(attempt))).text or ""

    values = {"instruction": prompt, "scale": str(params.scale)}
    replies = await ask_both_orders(ask, params.template, values, answers, params.read, retries=params.retries)
    label = row.get("label")
    return {
        **_verdict(replies, params),
        "judge_longer": _longer(*map(len, answers)),
        "judge_label": label if isinstance(label, str) and label in LABELS else None,
        "judge_replies": [reply.text for reply in replies],
        "judge_retries": sum(reply.retries for reply in replies),
        "judge_model": known,
        "judge_protocol": params.protocol,
    }


def _verdict(replies: tuple[Reply[Opinion], Reply[Opinion]], params: JudgeParams) -> dict[str, Any]:
    """The verdicts of both orders and what follows from them, or why one of them is missing."""
    first, second = (_named(reply.read, order) for order, reply in enumerate(replies))
    whole = first is not None and second is not None
    form = "[[A]], [[B]] or [[C]]" if params.form == "letter" else f"two marks from 1 to {params.scale}"
    found: dict[str, Any] = {
        "judge_verdict": (first if first == second else TIE) if whole else None,
        "judge_first_order": first,
        "judge_second_order": second,
        "judge_flipped": first != second if whole else None,
        "judge_reason": None if whole else f"in one of the orders, no reply of {params.retries + 1} is {form}",
    }
    if params.form == "marks":
        marks = mean_marks(*((reply.read or Opinion(None)).marks for reply in replies))
        found["judge_chosen_mark"], found["judge_rejected_mark"] = marks or (None, None)
    return found


def _named(opinion: Opinion | None, order: int) -> str | None:
    """An order's verdict in the words of the columns."""
    if opinion is None or opinion.better is None:
        return None if opinion is None else TIE
    return (CHOSEN, REJECTED)[opinion.better ^ order]


def _longer(chosen: int, rejected: int) -> str:
    """Which answer has more characters."""
    return TIE if chosen == rejected else CHOSEN if chosen > rejected else REJECTED


def _shown(row: Row) -> tuple[str, tuple[str, str]]:
    """The prompt and the answers as the judge sees them."""
    prompt, chosen, rejected = (_text(row[name]) for name in ("prompt", CHOSEN, REJECTED))
    if not prompt:
        raise RowError("the prompt is null or empty")
    if chosen is None or rejected is None:
        raise RowError(f"there is no {CHOSEN if chosen is None else REJECTED} answer")
    return prompt, (chosen, rejected)


def _text(given: str | list[dict[str, Any]] | None) -> str | None:
    """A single turn is its text, several are a transcript; None of none."""
    if given is None or isinstance(given, str):
        return given
    return transcript(given) if len(given) > 1 else given[0].get("content") if given else None


def _check_authors(row: Row, model: Model, known: str) -> None:
    """Raises where an answer is said to be the judge's own."""
    for name in ("author_chosen", "author_rejected"):
        author = row.get(name) or ""
        if author.casefold() == model.name.casefold() or same_model(author, known):
            raise RowError(f"the judge wrote one of the answers: {name} is {author}", cure="allow_self: true lets it")
