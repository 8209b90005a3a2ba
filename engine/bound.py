"""A model as one operator holds it: the `Model` protocol over a gate, on behalf of a node and of one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engine.calls import Asker, Gate
from engine.request import (
    Answer,
    Chat,
    Generate,
    LogLikelihood,
    Message,
    NextToken,
    ReplyLogLikelihood,
    Request,
    Reward,
    Sampling,
)

NO_SAMPLING = Sampling()


class BoundModel:
    """Calls by it stand in the ledger under the asker's name, and in `call_ids`."""

    def __init__(self, gate: Gate, asker: Asker, row_id: str | None = None) -> None:
        self._gate = gate
        self._asker = asker
        self._row_id = row_id
        self.call_ids: list[bytes] = []

    @property
    def name(self) -> str:
        """See `engine.model.Model`."""
        return self._gate.name

    @property
    def identity(self) -> str:
        """See `engine.model.Model`."""
        return self._gate.identity

    async def generate(self, prompt: str, *, draw: int, sampling: Sampling = NO_SAMPLING) -> Answer:
        """See `engine.model.Model`."""
        full = sampling.over(self._gate.sampling)
        return await self._ask(Generate(prompt, full, 0 if full.greedy else draw))

    async def chat(self, messages: Sequence[Message], *, draw: int, sampling: Sampling = NO_SAMPLING) -> Answer:
        """See `engine.model.Model`."""
        full = sampling.over(self._gate.sampling)
        return await self._ask(Chat(tuple(messages), full, 0 if full.greedy else draw))

    async def loglikelihood(self, context: str, continuation: str) -> Answer:
        """See `engine.model.Model`."""
        return await self._ask(LogLikelihood(context, continuation))

    async def reply_loglikelihood(self, messages: Sequence[Message]) -> Answer:
        """See `engine.model.Model`."""
        return await self._ask(ReplyLogLikelihood(tuple(messages)))

    async def next_token_logprobs(
        self, candidates: Sequence[str], *, messages: Sequence[Message] | None = None, prompt: str | None = None
    ) -> Mapping[str, float]:
        """See `engine.model.Model`."""
        asked = NextToken(tuple(candidates), None if messages is None else tuple(messages), prompt)
        answer = await self._ask(asked)
        return answer.logprobs or {}

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """See `engine.model.Model`."""
        return await self._gate.embed(texts, self._asker)

    async def reward(self, messages: Sequence[Message]) -> float:
        """See `engine.model.Model`."""
        answer = await self._ask(Reward(tuple(messages)))
        assert answer.value is not None, "a reward call answers with a value"
        return answer.value

    async def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """See `engine.model.Model`."""
        return await self._gate.backend.render(messages, add_generation_prompt=add_generation_prompt)

    async def _ask(self, request: Request) -> Answer:
        id_, answer = await self._gate.ask(request, self._asker, self._row_id)
        self.call_ids.append(id_)
        return answer
