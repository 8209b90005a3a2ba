"""The log-likelihood of answers under a model's chat template: what `loglikelihood`, `ifd` and `perplexity` stand on.

Scored are the tokens that trainers score: an answer's text and the end of its turn, not the header of its turn.
"""

from __future__ import annotations

import math
from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

from engine.errors import ModelError, RowError
from engine.operator import Context
from engine.operators._answers import all_of
from engine.request import Message

Turns = list[dict[str, Any]] | str | None
T = TypeVar("T")


class Likelihood(NamedTuple):
    """The sum of log p(token) in nats, and the number of tokens."""

    total: float
    tokens: int

    @property
    def nll(self) -> float:
        """The mean negative log-likelihood of a token, nats."""
        return -self.total / self.tokens


async def likelihood(prompt: list[Message], answer: list[Message], ctx: Context) -> Likelihood:
    """Over the tokens of the assistant's turns of an answer, nearly always one, each after all turns before it."""
    talk = [*prompt, *answer]
    ends = [end for end in range(len(prompt), len(talk)) if talk[end].get("role") == "assistant"]
    found = await all_of(ctx.model.reply_loglikelihood(talk[: end + 1]) for end in ends)
    return Likelihood(math.fsum(turn.value or 0.0 for turn in found), sum(turn.tokens_out or 0 for turn in found))


async def unless_refused(call: Coroutine[Any, Any, T]) -> T:
    """What a call gives; raises `RowError` where the model refuses what is in the row."""
    try:
        return await call
    except ModelError as e:
        if e.refused:
            raise RowError(e.message) from e
        raise


def turns_of(given: Turns, role: str) -> list[Message]:
    """Turns without the fields that Arrow fills with nulls; a text is one turn of `role`."""
    turns = [{"role": role, "content": given}] if isinstance(given, str) else given or []
    return [{field: value for field, value in turn.items() if value is not None} for turn in turns]


def spoken(answer: list[Message], column: str) -> list[Message]:
    """The answer, if the assistant says something in it and has the last word; raises `RowError`."""
    if not answer or answer[-1].get("role") != "assistant":
        raise RowError(f"{column}: there is no answer of the assistant")
    if not any((turn.get("content") or "").strip() or turn.get("tool_calls") for turn in answer):
        raise RowError(f"{column}: the answer is empty")
    return answer


def exp_of(nll: float) -> float:
    """exp(nll); raises `RowError` where that is no finite number."""
    if not -math.inf < nll < 700:  # exp(710) is no float64
        raise RowError(f"the mean negative log-likelihood is {nll:g}: its exponential is no finite number")
    return math.exp(nll)
