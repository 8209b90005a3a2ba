"""`score: perplexity`: how surprised a model is by a text, or by the answers of a conversation.

The log-likelihood itself, and that of pairs, is `score: loglikelihood`.
"""

from __future__ import annotations

from typing import Any, Literal

import pyarrow as pa

from engine.errors import RowError
from engine.needs import Asks
from engine.operator import Context, Params, Reads, Row, scorer
from engine.operators.scorers._answer_likelihood import (
    Likelihood,
    exp_of,
    likelihood,
    spoken,
    turns_of,
    unless_refused,
)
from engine.request import Capability
from engine.schema import MESSAGES_TYPE, TEXT_TYPE

TURNS = 16  # answers that a conversation is taken to have at most, for a plan of rows that are not there


class PerplexityParams(Params):
    """What is scored.

    - `text`: the column `text`, raw, without a chat template, after the model's beginning-of-text token.
    - `answers`: every turn of the assistant in `messages`, under the chat template, each after the turns before it;
      the mean is over the tokens of all of them.
    """

    of: Literal["text", "answers"] = "text"


@scorer(
    params=PerplexityParams,
    reads=lambda params: {"text": Reads(TEXT_TYPE)} if params.of == "text" else {"messages": Reads(MESSAGES_TYPE)},
    writes={"perplexity": pa.float64(), "nll_mean": pa.float64(), "n_tokens": pa.int32()},
    needs={Capability.LOGLIKELIHOOD},
    asks=lambda params: [Asks((1, 1 if params.of == "text" else TURNS))],
)
async def perplexity(row: Row, params: PerplexityParams, ctx: Context) -> dict[str, Any]:
    """The exponential of the mean negative log-likelihood of a token, in nats. Nothing is cut.

    Raises:
        RowError: there is no text or no answer, the model can't hold it, or the perplexity is no finite number.
    """
    found = await unless_refused(_of_text(row, ctx) if params.of == "text" else _of_answers(row, ctx))
    return {"perplexity": exp_of(found.nll), "nll_mean": found.nll, "n_tokens": found.tokens}


async def _of_text(row: Row, ctx: Context) -> Likelihood:
    if not (row["text"] or "").strip():
        raise RowError("text: it is null or empty")
    answer = await ctx.model.loglikelihood("", row["text"])
    return Likelihood(answer.value or 0.0, answer.tokens_out or 0)


async def _of_answers(row: Row, ctx: Context) -> Likelihood:
    return await likelihood([], spoken(turns_of(row["messages"], "user"), "messages"), ctx)
