"""`score: self_assessment`: a model's own marks for an answer's quality and for how it follows its instruction.

The third step of an iteration of I-SHEEP (Liang et al., arXiv 2408.08072, section 3.2). Which marks are good enough is
said in the spec, by `select: filter`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pyarrow as pa

from engine.errors import RowError
from engine.needs import Asks, tokens_in
from engine.operator import Context, Params, Reads, Row, scorer
from engine.operators._i_sheep import AskParams, complete, roles
from engine.operators._prompts import Template, fill, shipped
from engine.schema import TEXT_TYPE

_LEADING = re.compile(r"[^\w]*(\d+(?:\.\d+)?)")
_BEFORE_BARS = re.compile(r"(\d+(?:\.\d+)?)\s*\|\|")

Prompt = Annotated[str, Template("instruction", "response")]


class SelfAssessmentPrompts(Params):
    """A prompt for each level and variant; only those of the `level` and `variant` that are set are used."""

    quality_simple: Prompt = shipped("self_assessment/quality_simple")
    quality_combined: Prompt = shipped("self_assessment/quality_combined")
    quality_icl: Prompt = shipped("self_assessment/quality_icl")
    following_simple: Prompt = shipped("self_assessment/following_simple")
    following_combined: Prompt = shipped("self_assessment/following_combined")
    following_icl: Prompt = shipped("self_assessment/following_icl")


class SelfAssessmentParams(AskParams):
    """What is assessed, and by which of the paper's prompts.

    `simple` calls for right answers and for those that comply, `combined` also for succinct, clear and well-formed
    ones, and `icl` shows three answers with their marks. `temperature: 0` takes the noise out of the marks; the
    paper's are drawn.
    """

    level: Literal["quality", "following", "both"] = "both"
    variant: Literal["simple", "combined", "icl"] = "combined"
    prompts: SelfAssessmentPrompts = SelfAssessmentPrompts()

    def asked(self) -> dict[str, str]:
        """The prompts by level, in the order of the calls."""
        levels = ("quality", "following") if self.level == "both" else (self.level,)
        return {level: getattr(self.prompts, f"{level}_{self.variant}") for level in levels}


def _writes(params: SelfAssessmentParams, _dim: int | None) -> dict[str, pa.DataType]:
    return {
        **{f"{level}_score": pa.int8() for level in params.asked()},  # 1 to 10; null where the reply has no mark
        **{f"{level}_raw": pa.string() for level in params.asked()},  # null where it was not asked
        "unscored": pa.string(),  # the level that got no mark; null for a row with all its marks
    }


def _asks(params: SelfAssessmentParams) -> list[Asks]:
    """The first call is always made, the second one for the rows that the first one marked."""
    return [
        Asks((1 if first else 0, 1), prompt=tokens_in(prompt), reply=(1, params.max_tokens))
        for first, prompt in zip((True, False), params.asked().values(), strict=False)
    ]


@scorer(
    params=SelfAssessmentParams,
    reads={
        "instruction": Reads(TEXT_TYPE),
        "input": Reads(TEXT_TYPE, optional=True),
        "response": Reads(TEXT_TYPE),
    },
    writes=_writes,
    roles=roles,
    asks=_asks,
    seeded=True,
)
async def self_assessment(row: Row, params: SelfAssessmentParams, ctx: Context) -> dict[str, Any]:
    """Asks for a mark from 1 to 10 for the quality of an answer and then for how it follows its instruction.

    A reply without a mark is kept in its `_raw` column, leaves the mark null and stands in `unscored`; such a row is
    not asked for its second mark. Nothing is asked twice.

    Raises:
        RowError: the instruction or the answer is null or empty.
    """
    if not row["instruction"] or not row["response"]:
        raise RowError(f"the {'answer' if row['instruction'] else 'instruction'} is null or empty")
    instruction = " ".join(filter(None, [row["instruction"], row.get("input")]))
    values = {"instruction": instruction, "response": row["response"]}
    found: dict[str, Any] = dict.fromkeys(_writes(params, None))
    for k, (level, prompt) in enumerate(params.asked().items()):
        answer = await complete(ctx, fill(prompt, values), ctx.draw(row["row_id"], k), params)
        found[f"{level}_raw"], found[f"{level}_score"] = answer.text, read_score(answer.text or "")
        if found[f"{level}_score"] is None:
            return {**found, "unscored": level}
    return found


def read_score(reply: str) -> int | None:
    """The mark that a reply begins with, or else the one before its first "||", rounded; None outside of 1 to 10."""
    for found in (_LEADING.match(reply), _BEFORE_BARS.search(reply)):
        number = float(found[1]) if found else 0
        if number < 100 and 1 <= (mark := round(number)) <= 10:  # what has hundreds of digits can't be rounded
            return mark
    return None
