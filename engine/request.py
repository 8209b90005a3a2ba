"""The kinds of model call, what each asks for, and what comes back.

Who asks and who answers stands in `model`; how a request is written down, in `wire`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict

Message = Mapping[str, Any]
"""`{"role": "user", "content": "..."}`, with the fields of tool calls where there are any."""


class Capability(StrEnum):
    """The kinds of call (the field's names: lm-evaluation-harness, OpenAI, vLLM)."""

    GENERATE = "generate"  # a raw prompt to a completion
    CHAT = "chat"  # messages to a reply
    LOGLIKELIHOOD = "loglikelihood"  # log p(continuation | context)
    NEXT_TOKEN_LOGPROBS = "next_token_logprobs"  # log-probabilities of candidate next tokens
    EMBED = "embed"  # text to a vector
    REWARD = "reward"  # messages to a number


class Sampling(BaseModel):
    """How a reply is drawn. Fields that are None are left to the server or the model's own configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()

    @property
    def greedy(self) -> bool:
        """Whether the reply does not depend on the draw."""
        return self.temperature == 0

    @property
    def given(self) -> Mapping[str, Any]:
        """The fields that are not left to the model."""
        return _given(self)

    def over(self, default: Sampling) -> Sampling:
        """These settings where they are given, the defaults elsewhere."""
        return _over(self, default)


@lru_cache(maxsize=1024)  # a build has few settings and many calls
def _given(sampling: Sampling) -> Mapping[str, Any]:
    return {name: value for name, value in sampling.model_dump().items() if value not in (None, ())}


@lru_cache(maxsize=1024)
def _over(sampling: Sampling, default: Sampling) -> Sampling:
    return Sampling(**{**default.given, **sampling.given})


@dataclass(frozen=True)
class Generate:
    """A raw completion of `prompt`."""

    kind: ClassVar[Capability] = Capability.GENERATE
    prompt: str
    sampling: Sampling = field(default_factory=Sampling)
    draw: int = 0  # the seed of this sample, 63 bits; 0 for a greedy call


@dataclass(frozen=True)
class Chat:
    """A reply to `messages`, rendered by the model's own chat template."""

    kind: ClassVar[Capability] = Capability.CHAT
    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    draw: int = 0


@dataclass(frozen=True)
class LogLikelihood:
    """The log-probability of `continuation` after `context` (plain text, no template)."""

    kind: ClassVar[Capability] = Capability.LOGLIKELIHOOD
    context: str
    continuation: str


@dataclass(frozen=True)
class ReplyLogLikelihood:
    """The log-probability of the reply that ends `messages`, after the turns before it, under the chat template.

    Scored is what the model would have to write itself: text and end of turn, but not the header of the turn. The
    tokens are those of the whole conversation. A reply before which the prompt alone has other tokens is refused.
    """

    kind: ClassVar[Capability] = Capability.LOGLIKELIHOOD
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class NextToken:
    """The log-probabilities of `candidates` as the first token of the reply to `messages`, or after `prompt`.

    Exactly one of `messages` and `prompt` is given. A candidate is the text of one token; one that the tokenizer
    splits is scored by its first token if no other candidate shares it, and is an error otherwise.
    """

    kind: ClassVar[Capability] = Capability.NEXT_TOKEN_LOGPROBS
    candidates: tuple[str, ...]
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class Embed:
    """The vector of a text. Asked for in lists (`Backend.embed`), remembered one by one."""

    kind: ClassVar[Capability] = Capability.EMBED
    text: str


@dataclass(frozen=True)
class Reward:
    """A reward model's number for a conversation that ends with the reply to be judged."""

    kind: ClassVar[Capability] = Capability.REWARD
    messages: tuple[Message, ...]


Request = Generate | Chat | LogLikelihood | ReplyLogLikelihood | NextToken | Embed | Reward


@dataclass(frozen=True)
class Answer:
    """What came back. Only the field that the kind of call fills is set.

    `text` for generate and chat; `value` for log-likelihood (the sum over tokens, nats) and reward; `logprobs`
    for next-token calls, one entry a candidate (-inf where the backend can't see it); `vector` for embeddings.
    """

    text: str | None = None
    value: float | None = None
    logprobs: Mapping[str, float] | None = None
    vector: np.ndarray | None = None
    finish_reason: str | None = None  # "stop" or "length"
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    tokens_in: int | None = None
    tokens_out: int | None = None  # for log-likelihood: the tokens of the continuation
    attempts: int = 1  # requests sent for this answer
