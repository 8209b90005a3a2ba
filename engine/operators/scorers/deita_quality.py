"""`score: deita_quality`: how good a reply is, by a model that was trained to say so in one digit.

Evol-Quality of Liu et al. (arXiv 2312.15685, section 3.2); how the digit is read is in `_deita`.
"""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from engine.errors import RowError
from engine.operator import Context, Reads, Row, scorer
from engine.operators.scorers._deita import (
    QUALITY,
    ScorerParams,
    Turn,
    check_template,
    deita_asks,
    score_turns,
    scorer_columns,
    turns_of,
)
from engine.request import Capability
from engine.schema import PROMPT_TYPE, TEXT_TYPE


class QualityParams(ScorerParams):
    """See `ScorerParams`; a template of one's own has `{instruction}` and `{response}`, and the last of them is cut."""

    @field_validator("template")
    @classmethod
    def _has_its_fields(cls, value: str) -> str:
        check_template(value, {"instruction", "response"})
        return value


@scorer(
    params=QualityParams,
    reads={
        "prompt": Reads(PROMPT_TYPE, default=("messages", "instruction", "prompt")),
        "response": Reads(TEXT_TYPE, optional=True),  # where the prompt is a text
    },
    writes=scorer_columns("quality"),
    needs={Capability.NEXT_TOKEN_LOGPROBS},
    asks=lambda params: deita_asks(QUALITY, params),
)
async def deita_quality(row: Row, params: QualityParams, ctx: Context) -> dict[str, Any]:
    """Scores how good the reply to each user's turn is, in [1, 6]: the expectation over the digits that may come next.

    A user's turn without a reply is scored with an empty one.

    Raises:
        RowError: there is no user's turn, a text has no response, or a digit of the model can't be seen; the row's
            scores are null.
    """
    prompt, response = row["prompt"], row.get("response")
    if not prompt:
        raise RowError("the prompt is null or empty")
    if isinstance(prompt, str) and response is None:
        raise RowError("there is no response to the prompt")
    turns = [Turn(prompt, response or "")] if isinstance(prompt, str) else turns_of(prompt)
    scores: dict[str, Any] = await score_turns("quality", QUALITY, turns, params, ctx)
    return scores
