"""`score: deita_complexity`: how complex an instruction is, by a model that was trained to say so in one digit.

Evol-Complexity of Liu et al. (arXiv 2312.15685, section 3.1); how the digit is read is in `_deita`.
"""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from engine.errors import RowError
from engine.operator import Context, Reads, Row, scorer
from engine.operators.scorers._deita import (
    COMPLEXITY,
    ScorerParams,
    Turn,
    check_template,
    deita_asks,
    score_turns,
    scorer_columns,
    turns_of,
)
from engine.request import Capability
from engine.schema import PROMPT_TYPE


class ComplexityParams(ScorerParams):
    """See `ScorerParams`; a template of one's own has the field `{instruction}`, and `max_length` cuts that."""

    @field_validator("template")
    @classmethod
    def _has_its_field(cls, value: str) -> str:
        check_template(value, {"instruction"})
        return value


@scorer(
    params=ComplexityParams,
    reads={"prompt": Reads(PROMPT_TYPE, default=("messages", "instruction", "prompt", "text"))},
    writes=scorer_columns("complexity"),
    needs={Capability.NEXT_TOKEN_LOGPROBS},
    asks=lambda params: deita_asks(COMPLEXITY, params),
)
async def deita_complexity(row: Row, params: ComplexityParams, ctx: Context) -> dict[str, Any]:
    """Scores how complex each user's turn is, in [1, 6]: the expectation over the digits that the model may write next.

    Raises:
        RowError: there is no user's turn, or a digit of the model can't be seen; the row's scores are null.
    """
    prompt = row["prompt"]
    if not prompt:
        raise RowError("the prompt is null or empty")
    turns = [Turn(prompt, "")] if isinstance(prompt, str) else turns_of(prompt)
    scores: dict[str, Any] = await score_turns("complexity", COMPLEXITY, turns, params, ctx)
    return scores
