"""One search of `generate: ultraprompt` with models that write down what they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from operators.fakes import FakeContext

from engine.registry import operator
from engine.request import Answer

SEARCH = operator("generate", "ultraprompt")
BARE = {"rewrite": "{instruction}>{principle}", "answer": "{instruction}"}
"""Prompts of the texts alone, so that a rewriter that repeats its prompt writes the path of principles."""
PATHS = {"Helpfulness": {"Clear": "c", "More": "m", "Kind": "k"}, "Math": {"Hint": "h", "Check": "v"}}


@dataclass
class Models:
    """Three models in one: a rewrite repeats its prompt, an answer its instruction with the draw's last digits."""

    reward_of: Callable[[str], float | Exception] = lambda response: len(response) % 7 / 7
    rewrite_of: Callable[[str, int], Answer | Exception] = lambda asked, _: Answer(text=asked, finish_reason="stop")
    rewrites: list[Any] = field(default_factory=list)  # (system, user, draw, sampling)
    answered: list[Any] = field(default_factory=list)  # (prompt, draw, sampling)
    judged: list[Any] = field(default_factory=list)  # messages

    async def chat(self, messages, *, draw, sampling):
        system, user = messages
        self.rewrites.append((system["content"], user["content"], draw, sampling))
        return given(self.rewrite_of(user["content"], len(self.rewrites)))

    async def generate(self, prompt, *, draw, sampling):
        self.answered.append((prompt, draw, sampling))
        await asyncio.sleep(0)
        return Answer(text=f"{prompt}#{draw % 1000}", finish_reason="stop")

    async def reward(self, messages):
        self.judged.append(messages)
        return given(self.reward_of(messages[-1]["content"]))


def given(outcome):
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def search(models=None, row=None, *, seed=17, **params):
    """The rows of one tree; they must fit the columns that the operator declares."""
    models = models or Models()
    params = {"prompts": BARE, "principles": PATHS, **params}
    params["prompts"] = SEARCH.params.model_fields["prompts"].annotation(**params["prompts"])
    context = FakeContext(seed, models=dict.fromkeys(("rewriter", "responder", "reward"), models))
    row = {"row_id": "r0", "instruction": "raw", "category": "Math", **(row or {})}
    rows = asyncio.run(SEARCH.fn(row, SEARCH.params(**params), context))
    pa.Table.from_pylist(rows, schema=pa.schema(SEARCH.writes_of(None, None)))
    return rows
