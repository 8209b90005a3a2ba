"""What a model is to those who ask it, and what a backend must offer.

An operator holds a `Model`. A `Backend` (a file in `models/`) answers requests, which stand in `request`.
Between the two stands the gate (`calls`): it looks every request up in the ledger and records every answer,
so neither an operator nor a backend knows that the ledger exists.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, SecretStr

from engine.errors import ModelError
from engine.request import Answer, Capability, Message, Request, Sampling


class Model(Protocol):
    """A model in an operator's hands. Every method may raise `ModelError`.

    `draw` comes from `ctx.draw(row_id, k)`; a greedy call (temperature 0) ignores it. `sampling` overrides the
    model's own defaults field by field.
    """

    @property
    def name(self) -> str:
        """The name by which it is known, on a hub or to its server; the spec's where it has no other."""
        ...

    @property
    def identity(self) -> str:
        """A digest of what decides its answers: the same model has the same one in every spec and home."""
        ...

    async def generate(self, prompt: str, *, draw: int, sampling: Sampling = ...) -> Answer:
        """A raw completion."""
        ...

    async def chat(self, messages: Sequence[Message], *, draw: int, sampling: Sampling = ...) -> Answer:
        """A reply to messages."""
        ...

    async def loglikelihood(self, context: str, continuation: str) -> Answer:
        """`value`: sum of log p(token), nats; `tokens_out`: how many tokens that sum has."""
        ...

    async def reply_loglikelihood(self, messages: Sequence[Message]) -> Answer:
        """As `loglikelihood`, of the reply that ends the messages: see `ReplyLogLikelihood`."""
        ...

    async def next_token_logprobs(
        self, candidates: Sequence[str], *, messages: Sequence[Message] | None = None, prompt: str | None = None
    ) -> Mapping[str, float]:
        """Log-probability of each candidate as the next token."""
        ...

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), dim), not normalised."""
        ...

    async def reward(self, messages: Sequence[Message]) -> float:
        """A reward model's number."""
        ...

    async def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """The text that the model's own chat template makes of messages; no call is made, no weights are loaded.

        Raises:
            ModelError: the backend does not know the template (a server that keeps its tokenizer to itself).
        """
        ...


class BackendParams(BaseModel):
    """Base of a backend's `params:`; backends that sample add the fields of `Sampling` that they honour."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True)
class ModelConfig:
    """A model node of the spec, as its backend is given it. Address and key never enter an identity."""

    name: str  # the node's name in the spec, for messages only
    model: str | None = None  # hub name, local path or served name
    revision: str | None = None
    base_url: str | None = None
    api_key: SecretStr | None = None
    params: BackendParams = field(default_factory=BackendParams)
    concurrency: int = 256  # calls in flight at most (run.concurrency)
    folder: Path = Path()  # where relative paths begin: the spec's folder


@dataclass(frozen=True)
class Weights:
    """Where a model's weights are, for who trains on them: a local folder or a hub name."""

    model: str
    revision: str | None = None
    chat_template: str | None = None  # Jinja, where the spec replaces the tokenizer's own


class Backend(ABC):
    """A model backend. Construction is cheap and offline: no weights, no connection, no heavy import.

    `start` loads or connects, `close` lets go; both are called by the engine inside its event loop. The engine calls
    `answer` from thousands of coroutines at once; batching, rate limits and retries are the backend's business.
    """

    Params: ClassVar[type[BackendParams]] = BackendParams
    requires: ClassVar[frozenset[str]] = frozenset()  # fields of ModelConfig that must be given ("model", "base_url")
    accepts: ClassVar[frozenset[str]] = frozenset()  # further fields that may be given
    offers: ClassVar[frozenset[Capability]] = frozenset()
    recorded: ClassVar[bool] = True
    """False for a pure function that is cheaper to compute again than to look up (`hashing`)."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What decides this model's answers, as plain JSON values.

        Name, revision, weights' hash where local, tokenizer and template; never an address, a path, a key, a batch
        size or a device.
        """

    @property
    def sampling(self) -> Sampling:
        """The defaults of the model node's `params`, under an operator's own settings."""
        return Sampling()

    def weights(self) -> Weights | None:
        """What a trainer can start from; None where the weights are not at hand."""
        return None

    async def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:  # noqa: ARG002
        """See `Model.render`; may be called before `start` and needs the tokenizer alone."""
        raise ModelError(
            f"model {self.config.name} can't show its chat template",
            cure="use a model whose tokenizer is at hand, or name the template in the operator's params",
        )

    def embedding_dim(self) -> int | None:
        """The length of its embeddings if that is known without loading weights."""
        return None

    async def start(self) -> None:  # noqa: B027  (nothing to do is a fair default)
        """Load weights or open connections."""

    async def close(self) -> None:  # noqa: B027
        """Let go of them."""

    async def answer(self, request: Request) -> Answer:
        """Answer one request of any kind but `embed`; raises `ModelError` after its retries."""
        raise NotImplementedError(f"{type(self).__name__} answers no {request.kind} calls")

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), dim)."""
        raise NotImplementedError(f"{type(self).__name__} makes no embeddings")
