"""`generate: codeclm`: basic instructions, made harder until a strong and a target model clearly differ on them.

Self-Rubrics and Contrastive Filtering of CodecLM (Wang et al., arXiv 2404.05875, sections 3.3 and 3.4). The rows come
from `codeclm_encode`, `codeclm_mix`, `score: self_rubrics` and `codeclm_decode`; the parameters and the columns are in
`_codeclm_params`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from engine.errors import RowError
from engine.operator import Context, Reads, Row, generator
from engine.operators._answers import all_of
from engine.operators._codeclm import TEXTS_TYPE
from engine.operators._pairwise import Verdict, judge_both_orders
from engine.operators._prompts import fill
from engine.operators.generators._codeclm_params import ITERATION, WRITES, CodecLMParams, Draw, Status, asks, roles
from engine.request import Answer, Sampling
from engine.schema import TEXT_TYPE


@dataclass(frozen=True)
class Iteration:
    """One instruction of the loop: the action that made it, both answers, and the verdict on them.

    Without the filter, only the last instruction is answered, and by the strong model alone.
    """

    instruction: str
    action: str | None = None
    strong: Answer | None = None
    target: Answer | None = None
    verdict: Verdict | None = None

    @property
    def gap(self) -> float | None:
        """By how much the strong model's answer is better; None where the judge's replies can't be read."""
        return None if self.verdict is None else self.verdict.gap

    def columns(self) -> dict[str, Any]:
        """See `ITERATION`."""
        verdict = self.verdict
        strong, target = (verdict and verdict.marks) or (None, None)
        return {
            "instruction": self.instruction,
            "action": self.action,
            "strong_response": self.strong and self.strong.text,
            "target_response": self.target and self.target.text,
            "strong_score": strong,
            "target_score": target,
            "quality_gap": self.gap,
            "judge_raw": verdict and list(verdict.replies),
            "judge_retries": verdict and verdict.retries,
        }


@dataclass(frozen=True)
class Outcome:
    """The iterations of a row, how they ended, and why it is not accepted."""

    iterations: list[Iteration]
    status: Status
    reason: str | None = None


@generator(
    params=CodecLMParams,
    reads={
        "instruction": Reads(TEXT_TYPE),
        "actions": Reads(TEXTS_TYPE),
        "metadata_id": Reads(TEXT_TYPE, optional=True),
        "use_case": Reads(TEXT_TYPE, optional=True),
        "skills": Reads(TEXTS_TYPE, optional=True),
    },
    writes=WRITES,
    roles=roles,
    asks=asks,
    gives=lambda _params, rows: (rows, rows),
)
async def codeclm(row: Row, params: CodecLMParams, ctx: Context) -> list[dict[str, Any]]:
    """Rewrites an instruction, by one action at a time, until the answers of two models are far enough apart.

    A judge marks both answers in both orders. If the strong model's is more than `theta` better, the instruction is
    kept with it; if it is more than `theta` worse, with the target model's. Otherwise one of the row's `actions`, drawn
    evenly, makes the instruction harder, and the models answer anew. Every row gives one row, with all that was
    written on the way; only an accepted one has a `response` and `messages`.

    Raises:
        RowError: there is no instruction, or no action to rewrite it by.
        ModelError: a call failed.
    """
    if not row["instruction"]:
        raise RowError("the instruction is null or empty")
    actions = [action for action in row["actions"] or [] if action]
    if not actions and params.max_iterations > 1:
        raise RowError("there is no action", cure="drop rows whose rubrics could not be read, or max_iterations: 1")
    ends = _filtered if params.filter else _unfiltered
    outcome = await ends(Loop(row["row_id"], actions, params, ctx), row["instruction"])
    last = outcome.iterations[-1].columns()
    return [
        {
            **{name: row.get(name) for name in ("metadata_id", "use_case", "skills")},
            **{name: last[name] for name in ITERATION if name in WRITES},
            **_response(outcome),
            "basic_instruction": row["instruction"],
            "iteration": len(outcome.iterations),
            "action_history": [done.action for done in outcome.iterations[1:]],
            "history": [done.columns() for done in outcome.iterations],
            "status": outcome.status,
            "reason": outcome.reason,
        }
    ]


async def _filtered(loop: Loop, basic: str) -> Outcome:
    """From iteration to iteration, until one is accepted or can't be used."""
    params = loop.params
    done: list[Iteration] = []
    instruction, action = basic, None
    for t in range(1, params.max_iterations + 1):
        if t > 1:
            try:
                instruction, action = await loop.harder(instruction, t)
            except RowError as e:
                return Outcome(done, Status.PARSE_FAILED, e.message)
        done.append(await loop.compare(instruction, action, t))
        gap = done[-1].gap
        if gap is None:
            reason = f"a verdict on iteration {t} is not two numbers from 1 to {params.judge_scale}"
            return Outcome(done, Status.PARSE_FAILED, reason)
        if abs(gap) > params.theta:
            return Outcome(done, Status.ACCEPTED_STRONG if gap > 0 else Status.ACCEPTED_TARGET)
    return Outcome(done, Status.EXHAUSTED, f"the gap is within {params.theta:g} in all {len(done)} iterations")


async def _unfiltered(loop: Loop, basic: str) -> Outcome:
    """So many rewrites, whatever they are worth, and the strong model's answer to the last one."""
    last = loop.params.max_iterations
    done = [Iteration(basic)]
    try:
        for t in range(2, last + 1):
            done.append(Iteration(*await loop.harder(done[-1].instruction, t)))
    except RowError as e:
        return Outcome(done, Status.PARSE_FAILED, e.message)
    answer = await loop.ask("strong", done[-1].instruction, Draw.STRONG, last)
    return Outcome([*done[:-1], replace(done[-1], strong=answer)], Status.ACCEPTED_STRONG)


@dataclass(frozen=True)
class Loop:
    """What the steps of one row's loop have in common."""

    row_id: str
    actions: list[str]
    params: CodecLMParams
    ctx: Context

    async def harder(self, instruction: str, t: int) -> tuple[str, str]:
        """The instruction rewritten by one action, each as likely as the others, and that action.

        Raises:
            RowError: no rewrite could be used; the reason is that of the last one.
        """
        drawn = self.ctx.rng(self.row_id, Draw.ACTION.number(t)).integers(len(self.actions))
        action = self.actions[int(drawn)]
        asked = fill(self.params.prompts.rewrite, {"instruction": instruction, "action": action})
        for attempt in range(self.params.retries + 1):
            answer = await self.ask("strong", asked, Draw.REWRITE, t, attempt)
            written = (answer.text or "").strip()
            wrong = _flaw(answer, written, instruction, asked)
            if wrong is None:
                return written, action
        raise RowError(f"the rewrite of iteration {t} {wrong}")

    async def compare(self, instruction: str, action: str | None, t: int) -> Iteration:
        """Both answers, and the verdict on them."""
        strong, target = await all_of(
            self.ask(role, instruction, draw, t) for role, draw in (("strong", Draw.STRONG), ("target", Draw.TARGET))
        )

        async def judge(asked: str, order: int, attempt: int) -> str:
            draw = Draw.JUDGE_SWAPPED if order else Draw.JUDGE
            return (await self.ask("judge", asked, draw, t, attempt, self.params.judge_sampling(attempt))).text or ""

        verdict = await judge_both_orders(
            judge, self.params.prompts.judge, instruction, (strong.text or "", target.text or ""),
            scale=self.params.judge_scale, retries=self.params.retries,
        )  # fmt: skip
        return Iteration(instruction, action, strong, target, verdict)

    async def ask(
        self, role: str, asked: str, draw: Draw, t: int, attempt: int = 0, sampling: Sampling | None = None
    ) -> Answer:
        """One reply to one user turn."""
        turns = [{"role": "user", "content": asked}]
        number = self.ctx.draw(self.row_id, draw.number(t, attempt))
        return await self.ctx.models[role].chat(turns, draw=number, sampling=sampling or self.params.sampling)


def _flaw(answer: Answer, written: str, instruction: str, asked: str) -> str | None:
    """Why a rewrite can't be used."""
    if not written:
        return "is empty"
    if answer.finish_reason == "length":
        return "is cut off at max_tokens"
    if written == instruction.strip():
        return "repeats the instruction"
    return "repeats the prompt" if asked.strip() in written else None


def _response(outcome: Outcome) -> dict[str, Any]:
    """What is trained on: the accepted answer, or nothing."""
    last = outcome.iterations[-1]
    source = {Status.ACCEPTED_STRONG: "strong", Status.ACCEPTED_TARGET: "target"}.get(outcome.status)
    answer = last.target if source == "target" else last.strong
    if source is None or answer is None:
        return dict.fromkeys(("messages", "response", "response_source", "finish_reason"))
    turns = (("user", last.instruction), ("assistant", answer.text))
    return {
        "messages": [{"role": role, "content": content} for role, content in turns],
        "response": answer.text,
        "response_source": source,
        "finish_reason": answer.finish_reason,
    }
