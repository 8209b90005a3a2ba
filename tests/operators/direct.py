"""A model that asks a real backend without ledger or gate, and remembers what was asked."""

from __future__ import annotations

import asyncio
from typing import Any

from operators.fakes import FakeContext

from engine.fingerprint import fingerprint
from engine.model import Backend, ModelConfig
from engine.operator import Operator
from engine.registry import backend
from engine.request import Chat, Generate, ReplyLogLikelihood, Reward, Sampling


class Direct:
    """The `Model` protocol over a backend."""

    def __init__(self, asked: Backend) -> None:
        self.backend = asked
        self.name = asked.config.name
        self.prompts: list[Generate] = []
        self.chats: list[Chat] = []

    @property
    def identity(self) -> str:
        return fingerprint(self.backend.identity())

    async def generate(self, prompt, *, draw, sampling=None):
        self.prompts.append(Generate(prompt, (sampling or Sampling()).over(self.backend.sampling), draw))
        return await self.backend.answer(self.prompts[-1])

    async def chat(self, messages, *, draw, sampling=None):
        self.chats.append(Chat(tuple(messages), (sampling or Sampling()).over(self.backend.sampling), draw))
        return await self.backend.answer(self.chats[-1])

    async def reward(self, messages):
        return (await self.backend.answer(Reward(tuple(messages)))).value

    async def reply_loglikelihood(self, messages):
        return await self.backend.answer(ReplyLogLikelihood(tuple(messages)))

    async def render(self, messages, *, add_generation_prompt=False):
        return await self.backend.render(messages, add_generation_prompt=add_generation_prompt)


def scripted(replies: list[dict[str, Any]], **params: Any) -> Direct:
    """A model that answers from a script."""
    kind = backend("scripted")
    return Direct(kind(ModelConfig("script", params=kind.Params(replies=replies, **params))))


def answers(op: Operator, model: Direct, row: dict[str, Any] | None = None, **params: Any) -> Any:
    """What a row operator makes of one row."""
    return asyncio.run(op.fn({"row_id": "r0", **(row or {})}, op.params(**params), FakeContext(17, model)))
