"""`score: writing_quality`: a judge's six marks for a piece of writing, whatever its length.

S_q of LongBench-Write (Bai et al., arXiv 2408.07055, section 4.1). The prompt is ours, in the sense of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from engine.errors import RowError
from engine.needs import Asks, tokens_in
from engine.operator import Context, Params, Reads, Row, scorer
from engine.operators._prompts import Template, fill, shipped
from engine.operators.scorers._magpie_tags import read_object
from engine.request import Capability, Sampling
from engine.schema import TEXT_TYPE

DIMENSIONS = ("relevance", "accuracy", "coherence", "clarity", "breadth_and_depth", "reading_experience")
MARKS = {str(mark): mark for mark in (1, 2, 3, 4, 5)} | {f"{mark}.0": mark for mark in (1, 2, 3, 4, 5)}
FALLBACK = 3  # what a mark that is missing counts as with `on_failure: three`


class WritingQualityPrompts(Params):
    """What the judge is asked."""

    judge: Annotated[str, Template("instruction", "response")] = shipped("writing_quality/judge")


class WritingQualityParams(Params):
    """How the judge is asked, and what becomes of a reply that lacks a mark.

    `retry` asks up to `tries` times for all six and then leaves the row null with its reason, as LongWriter does.
    `three` asks once and counts each missing mark as 3, as evalscope does; how many those are stands in `s_q_missing`.
    """

    on_failure: Literal["retry", "three"] = "retry"
    tries: int = Field(5, ge=1)
    temperature: float = Field(0.5, ge=0)
    max_tokens: int = Field(1024, ge=1)
    prompts: WritingQualityPrompts = WritingQualityPrompts()

    @model_validator(mode="after")
    def _asking_again_needs_chance(self) -> WritingQualityParams:
        if self.temperature == 0 and self.on_failure == "retry" and self.tries > 1:
            raise ValueError("tries: at temperature 0 the reply is always the same; raise it, or write tries: 1")
        return self


def _asks(params: WritingQualityParams) -> list[Asks]:
    tries = params.tries if params.on_failure == "retry" else 1
    return [Asks((1, tries), prompt=tokens_in(params.prompts.judge), reply=(0, params.max_tokens))]


@scorer(
    params=WritingQualityParams,
    reads={"instruction": Reads(TEXT_TYPE, default=("instruction", "prompt")), "response": Reads(TEXT_TYPE)},
    writes={
        "s_q": pa.float32(),
        **{f"s_q_{name}": pa.float32() for name in DIMENSIONS},
        "s_q_analysis": pa.string(),
        "s_q_tries": pa.int32(),  # how often the judge was asked
        "s_q_missing": pa.int32(),  # marks that counted as 3
    },
    needs={Capability.CHAT},
    asks=_asks,
    seeded=True,
)
async def writing_quality(row: Row, params: WritingQualityParams, ctx: Context) -> dict[str, Any]:
    """Asks a strict judge for an analysis and six marks from 1 to 5, without regard to length.

    A mark m becomes 100 * (m - 1) / 4, and s_q is the mean of the six: 5 throughout is 100, 3 is 50, 1 is 0. An empty
    response is judged like any other.

    Raises:
        RowError: there is no instruction or no response, or (with `on_failure: retry`) no reply had all six marks; the
            row's scores are null.
    """
    if not row["instruction"] or row["response"] is None:
        raise RowError("the response is null" if row["instruction"] else "the instruction is null or empty")
    asked = fill(params.prompts.judge, {"instruction": row["instruction"], "response": row["response"]})
    turns = [{"role": "user", "content": asked}]
    sampling = Sampling(temperature=params.temperature, max_tokens=params.max_tokens)
    for k in range(params.tries if params.on_failure == "retry" else 1):
        answer = await ctx.model.chat(turns, draw=ctx.draw(row["row_id"], k), sampling=sampling)
        judged = read_judgement(answer.text or "")
        if judged.problem is None:
            break
    if judged.problem is not None and params.on_failure == "retry":
        raise RowError(f"{judged.problem} (the last of {k + 1} replies)" if k else judged.problem)
    return {**judged.scores(), "s_q_tries": k + 1}


@dataclass(frozen=True)
class Judgement:
    """What can be read of a judge's reply: the marks that are there, and what is wrong with the others."""

    marks: Mapping[str, int]
    analysis: str | None = None
    problem: str | None = None

    def scores(self) -> dict[str, Any]:
        """The columns that follow from the marks; a missing one counts as 3."""
        scores = {f"s_q_{name}": 100 * (self.marks.get(name, FALLBACK) - 1) / 4 for name in DIMENSIONS}
        return {
            "s_q": float(np.mean(list(scores.values()))),
            **scores,
            "s_q_analysis": self.analysis,
            "s_q_missing": len(DIMENSIONS) - len(self.marks),
        }


def read_judgement(reply: str) -> Judgement:
    """Reads the JSON object of a reply, also from inside a code fence or after an introduction.

    Names may be spelt "Breadth and Depth", and marks may be texts; what is no whole number from 1 to 5 is no mark.
    """
    try:
        found = read_object(reply[max(reply.find("{"), 0) :])
    except RowError as e:
        return Judgement({}, problem=e.message)
    given = {"_".join(re.findall("[a-z]+", name.lower())): value for name, value in found.items()}
    marks = {name: MARKS[text] for name in DIMENSIONS if (text := str(given.get(name)).strip()) in MARKS}
    missing = ", ".join(name for name in DIMENSIONS if name not in marks)
    analysis = given.get("analysis")
    return Judgement(
        marks,
        analysis if isinstance(analysis, str) else None,
        f"the judge gave no mark from 1 to 5 for: {missing}" if missing else None,
    )
