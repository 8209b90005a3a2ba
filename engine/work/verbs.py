"""Which work a step needs: by its verb and the form of its operator; and where, so that the others can go on."""

from __future__ import annotations

import asyncio

from engine.plan.steps import Plan, Verb
from engine.store import PART_ROWS
from engine.work.check import run_tests
from engine.work.dialogue import dialogue
from engine.work.job import Job, Result, Runner
from engine.work.query import run_sql, run_union
from engine.work.roots import make_roots
from engine.work.rounds import ask_stop_rule
from engine.work.score import score_awaited, score_vector
from engine.work.select import select
from engine.work.source import read_source
from engine.work.train import train
from engine.work.whole import score_whole

WHOLE = {
    Verb.SELECT: select,
    Verb.SCORE: score_whole,
    Verb.SQL: run_sql,
    Verb.UNION: run_union,
    Verb.TEST: run_tests,
    Verb.ROOTS: make_roots,
    Verb.UNTIL: ask_stop_rule,
}
"""The verbs that make their result as a whole, on a worker thread."""


class Workshop:
    """Does the steps of one build."""

    def __init__(self, plan: Plan, runner: Runner) -> None:
        self._plan, self._runner = plan, runner
        self._whole = asyncio.Semaphore(1)  # whole tables in memory: one step at a time
        self._training = asyncio.Semaphore(1)  # a training takes the whole machine

    async def do(self, job: Job) -> Result:
        """Do a step; what it comes to is in the store, but for the manifest."""
        verb, run = job.planned.step.verb, self._plan.spec.run
        match verb:
            case Verb.SOURCE:
                base = self._plan.spec.file.parent
                return await asyncio.to_thread(read_source, job, base, self._plan.limit, PART_ROWS)
            case Verb.GENERATE | Verb.SCORE if job.operator.by_row:
                return await dialogue(job)
            case Verb.SCORE if not job.operator.by_table:
                return await (score_awaited(job) if job.operator.is_async else score_vector(job, self._runner))
            case Verb.TRAIN:
                async with self._training:
                    return await train(job, self._plan.spec.file.parent, run.launch)
        async with self._whole:
            return await asyncio.to_thread(WHOLE[verb], job)
