"""`generate: cyclealign`: answers of a white box, ranked by itself and by a black box, and what both agree on.

One cycle of CycleAlign (Hong et al., arXiv 2310.16271) up to the training, which is `train: rank`; the cycles are
`rounds:` of a spec. Of the paper, the abstract could be read: what is reconstruction stands in docs/recipes. The
parameters and columns are in `_cyclealign_params`, the black box's prompt in `_cyclealign_ranker`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import ModelError
from engine.operator import Context, Row, generator
from engine.operators._answers import all_of
from engine.operators._transcript import transcript
from engine.operators.generators._cyclealign_params import (
    BLACKBOX,
    DYNAMIC,
    ROLES,
    SIDES,
    STATIC,
    WHITEBOX,
    WRITES,
    CyclealignParams,
    Status,
    asks,
    reads,
)
from engine.operators.generators._cyclealign_ranker import (
    Demo,
    ranking_prompt,
    read_ranking,
    shown_demos,
)
from engine.operators.generators.respond import prompt_turns
from engine.request import Message
from engine.statistics.agreement import agreement, ranking_of, usable


@generator(
    params=CyclealignParams,
    reads=reads,
    writes=WRITES,
    roles=ROLES,
    sides=SIDES,
    asks=asks,
    gives=lambda _params, rows: (rows, rows),
)
async def cyclealign(row: Row, params: CyclealignParams, ctx: Context) -> list[dict[str, Any]]:
    """Ranks a model's answers to a prompt by its own likelihood and by another model's judgement, and compares both.

    The white box draws `n` answers; equal and empty ones are left out. Its score of an answer is the mean
    log-probability of the answer's tokens, its end of turn included. The black box ranks them under shuffled letters,
    after demonstrations; a reply that can't be read is asked for again, with other letters. The agreement is the
    longest list of answers that both put in the same order. Every prompt gives one row; `status` and `reason` say where
    it stopped, and what was there by then is kept.

    Raises:
        RowError: there is no prompt, or a demonstration has no ranking.
        ModelError: a call failed.
    """
    turns = prompt_turns(row["prompt"], None)
    answers = await _answers(row, turns, params, ctx)
    return [
        {
            "prompt_id": row.get("prompt_id") or row["row_id"],
            "prompt": [{"role": turn["role"], "content": turn.get("content")} for turn in turns],
            "responses": answers.texts,
            "response_source": list(answers.sources.values()),
            "duplicates": answers.duplicates,
            "empty": answers.empty,
            "cut": answers.cut,
            "used_for_training": False,
            "used_as_demo": False,
            **await _ranked(Case(row["row_id"], turns, answers, params, ctx)),
        }
    ]


async def _ranked(case: Case) -> dict[str, Any]:
    """The columns from the white box's scores on."""
    answers, count = case.answers, len(case.answers.sources)
    if count < 2:
        reason = f"{count} different answers: {answers.duplicates} are duplicates, {answers.empty} empty"
        return {"status": Status.FEW_ANSWERS, "reason": reason}
    scores, wrong = await case.scores()
    if wrong is not None:
        return {"whitebox_scores": scores, "status": Status.UNSCORED, "reason": wrong}
    own = ranking_of([score for score in scores if score is not None])
    judged = await case.judged()
    found = {"whitebox_scores": scores, "whitebox_ranking": own, **judged}
    if judged["blackbox_ranking"] is None:
        reason = f"no reply of {case.params.tries} ranks all {count} answers"
        return {**found, "status": Status.UNREADABLE, "reason": reason}
    return {**found, **labels(judged["blackbox_ranking"], own, case.params), "status": Status.RANKED}


def labels(judged: Sequence[int], own: Sequence[int], params: CyclealignParams) -> dict[str, Any]:
    """What follows from both rankings, the black box's and the white box's: the agreement, and what it is good for."""
    agreed = agreement(judged, own)
    trained = judged if params.train_label == "blackbox" else agreed
    return {
        "agreement_ranking": agreed,
        "agreement_ratio": len(agreed) / len(judged),
        "train_ranking": trained if len(trained) >= 2 else None,
        "used_for_training": len(trained) >= 2,
        "used_as_demo": usable(agreed, len(judged), params.min_agreement),
    }


@dataclass(frozen=True)
class Answers:
    """The different answers to a prompt, each with where it comes from; how many more there were, and how many cut."""

    sources: dict[str, str]
    duplicates: int
    empty: int
    cut: int

    @property
    def texts(self) -> list[str]:
        """In the order of their indices."""
        return list(self.sources)


async def _answers(row: Row, turns: list[Message], params: CyclealignParams, ctx: Context) -> Answers:
    """The white box's answers, which are draws 0 to n - 1 of the row, and those that are given."""
    model = ctx.models[WHITEBOX]
    drawn = await all_of(
        model.chat(turns, draw=ctx.draw(row["row_id"], k), sampling=params.answering) for k in range(params.n)
    )
    given = (row.get("extra_responses") or [])[: params.extra]
    everything = [(answer.text or "", WHITEBOX) for answer in drawn] + [(text or "", "extra") for text in given]
    spoken = [(text, source) for text, source in everything if text.strip()]
    sources: dict[str, str] = {}
    for text, source in spoken:
        sources.setdefault(text, source)
    cut = sum(answer.finish_reason == "length" for answer in drawn)
    return Answers(sources, len(spoken) - len(sources), len(everything) - len(spoken), cut)


@dataclass(frozen=True)
class Case:
    """A prompt with its answers, and who is asked about them."""

    row_id: str
    turns: list[Message]
    answers: Answers
    params: CyclealignParams
    ctx: Context

    async def scores(self) -> tuple[list[float | None], str | None]:
        """The white box's mean log-probability of each answer, and why one of them has none."""
        found = await all_of(self._score(text) for text in self.answers.texts)
        reasons = [f"response {i}: {reason}" for i, (_, reason) in enumerate(found) if reason is not None]
        return [score for score, _ in found], reasons[0] if reasons else None

    async def _score(self, text: str) -> tuple[float | None, str | None]:
        talk = [*self.turns, {"role": "assistant", "content": text}]
        try:
            answer = await self.ctx.models[WHITEBOX].reply_loglikelihood(talk)
        except ModelError as e:
            if e.refused:  # the model can't hold it, or its tokens are not those of the prompt and a reply
                return None, e.message
            raise
        if answer.value is None or not math.isfinite(answer.value) or not answer.tokens_out:
            return None, f"its log-probability is {answer.value} over {answer.tokens_out} tokens"
        return answer.value / answer.tokens_out, None

    async def judged(self) -> dict[str, Any]:
        """The black box's ranking, and how it was asked for."""
        params, ctx, answers = self.params, self.ctx, self.answers.texts
        prompt = transcript(self.turns)
        demos = self._demos(prompt)
        for attempt in range(params.tries):
            number = params.n + 2 * attempt
            order = ctx.rng(self.row_id, number).permutation(len(answers)).tolist()
            texts = [answers[i] for i in order]
            asked = ranking_prompt(params.prompts, demos, prompt, texts, params.max_demo_chars)
            draw = ctx.draw(self.row_id, number + 1)
            turns = [{"role": "user", "content": asked}]
            answer = await ctx.models[BLACKBOX].chat(turns, draw=draw, sampling=params.ranking)
            ranking = read_ranking(answer.text or "", order)
            if ranking is not None:
                break
        return {
            "demo_ids": [demo.row_id for demo in demos],
            "label_order": order,
            "blackbox_raw": answer.text,
            "blackbox_tries": attempt + 1,
            "blackbox_ranking": ranking,
        }

    def _demos(self, prompt: str) -> list[Demo]:
        """What the black box is shown, without the prompt that it is asked about."""
        params, sides, without = self.params, self.ctx.sides, {prompt}
        static = shown_demos(sides.get(STATIC), params.static_demos, without, newest=False)
        return static + shown_demos(sides.get(DYNAMIC), params.dynamic_demos, without, newest=True)
