"""`score: ifd`: the instruction-following difficulty of Li et al., "From Quantity to Quality" (arXiv 2308.12032).

Superfiltering (Li et al., arXiv 2402.00530) is the same score by a small model. Which rows to keep by it is a
selector's business.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from engine.needs import Asks
from engine.operator import Context, Params, Reads, Row, scorer
from engine.operators.scorers._answer_likelihood import exp_of, likelihood, spoken, turns_of, unless_refused
from engine.request import Capability, Message
from engine.schema import MESSAGES_TYPE

NO_INSTRUCTION: list[Message] = [{"role": "user", "content": ""}]
"""What stands before the answer alone: chat templates begin with a user's turn, and some refuse others."""


class IfdParams(Params):
    """There is nothing to choose; `as` gives the columns other names."""


@scorer(
    params=IfdParams,
    reads={"messages": Reads(MESSAGES_TYPE)},
    writes={
        "ifd": pa.float64(),
        "ifd_nll_given": pa.float64(),  # mean negative log-likelihood of the answer after the instruction, nats
        "ifd_nll_alone": pa.float64(),  # and after no instruction
        "ifd_tokens_given": pa.int32(),
        "ifd_tokens_alone": pa.int32(),
    },
    needs={Capability.LOGLIKELIHOOD},
    asks=lambda _: [Asks((2, 2))],
)
async def ifd(row: Row, params: IfdParams, ctx: Context) -> dict[str, Any]:  # noqa: ARG001
    """How little the instruction helps with the answer: ppl(answer | instruction) / ppl(answer), by mean NLLs.

    Near 0 the instruction tells the answer; above 1 it misleads, and the paper drops such rows (section 2.2). Of a
    conversation the last answer is scored; the turns before it, a system's too, are its instruction. The answer alone
    is the same turn after an empty turn of the user, so that both likelihoods are of one text under one template,
    header and end of turn included; the paper's code, older than chat templates, has nothing at all before it.

    Raises:
        RowError: there is no answer, the model can't hold the conversation, or an exponential is no finite number.
    """
    talk = turns_of(row["messages"], "user")
    answer = spoken(talk[-1:], "messages")
    given = await unless_refused(likelihood(talk[:-1], answer, ctx))
    alone = await unless_refused(likelihood(NO_INSTRUCTION, answer, ctx))
    return {
        "ifd": exp_of(given.nll - alone.nll),
        "ifd_nll_given": given.nll,
        "ifd_nll_alone": alone.nll,
        "ifd_tokens_given": given.tokens,
        "ifd_tokens_alone": alone.tokens,
    }
