"""`score: loglikelihood`: how likely a model finds the answers that are there; the reference of DPO and its relatives.

Of conversations it is a plain measure. Of pairs, and of single answers that are good or bad, the columns are those that
`train: dpo` reads with `reference: precomputed`.
"""

from __future__ import annotations

from typing import Any, Literal

import pyarrow as pa

from engine.errors import RowError
from engine.needs import Asks
from engine.operator import Context, Params, Reads, Row, scorer
from engine.operators.scorers._answer_likelihood import likelihood, spoken, turns_of, unless_refused
from engine.request import Capability, Message
from engine.schema import MESSAGES_TYPE, PROMPT_TYPE

READS = {
    "conversation": {"messages": Reads(MESSAGES_TYPE)},
    "preference": dict.fromkeys(("prompt", "chosen", "rejected"), Reads(PROMPT_TYPE)),
    "binary": dict.fromkeys(("prompt", "completion"), Reads(PROMPT_TYPE)),
}
WRITES = {
    "conversation": {"logp": pa.float64(), "logp_mean": pa.float64(), "n_logp_tokens": pa.int32()},
    "preference": {
        "ref_chosen_logp": pa.float64(),
        "ref_rejected_logp": pa.float64(),
        "ref_chosen_tokens": pa.int32(),
        "ref_rejected_tokens": pa.int32(),
    },
    "binary": {"ref_logp": pa.float64(), "ref_tokens": pa.int32()},
}


class LoglikelihoodParams(Params):
    """What the rows are, and so what is read and written.

    - `conversation`: the answer is the last turn of `messages`; `logp`, its mean over the tokens, their number.
    - `preference`: the answers `chosen` and `rejected` to `prompt`; `ref_chosen_logp` and `ref_rejected_logp` with
      `ref_chosen_tokens` and `ref_rejected_tokens`.
    - `binary`: the answer `completion` to `prompt`; `ref_logp` and `ref_tokens`.

    Where prompt or answer is a text, it is one turn.
    """

    rows: Literal["conversation", "preference", "binary"] = "conversation"


@scorer(
    params=LoglikelihoodParams,
    reads=lambda params: READS[params.rows],
    writes=lambda params, _: WRITES[params.rows],
    needs={Capability.LOGLIKELIHOOD},
    asks=lambda params: [Asks((2, 2) if params.rows == "preference" else (1, 1))],
)
async def loglikelihood(row: Row, params: LoglikelihoodParams, ctx: Context) -> dict[str, Any]:
    """The log-likelihood of answers after what stands before them: the sum over their tokens in nats, and their count.

    The conversation is written by the model's chat template and tokenised as a whole. The answer's tokens are those
    that trainers score: its text and the end of its turn, not the header of its turn. Nothing is cut. Of an answer of
    several turns, the assistant's count.

    Raises:
        RowError: an answer is missing or empty, the model can't hold it, or its prompt has other tokens with the answer
            after it than alone; the row's numbers are null.
    """
    answers = [await unless_refused(likelihood(*pair, ctx)) for pair in _answers(row, params.rows)]
    sums, counts = zip(*answers, strict=True)
    means = [sums[0] / counts[0]] if params.rows == "conversation" else []
    return dict(zip(WRITES[params.rows], [*sums, *means, *counts], strict=True))


def _answers(row: Row, rows: str) -> list[tuple[list[Message], list[Message]]]:
    """The answers of a row, each with the turns before it."""
    if rows == "conversation":
        talk = turns_of(row["messages"], "user")
        return [(talk[:-1], spoken(talk[-1:], "messages"))]
    prompt = turns_of(row["prompt"], "user")
    if not prompt:
        raise RowError("prompt: it is null or empty")
    return [(prompt, spoken(turns_of(row[side], "assistant"), side)) for side in READS[rows] if side != "prompt"]
