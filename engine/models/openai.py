"""`use: openai`: any server that speaks the OpenAI protocol (vLLM, SGLang, llama.cpp, OpenAI and its likes).

What is asked and how an answer is read is in `_openai_wire`, the way there and back in `_http`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, cast

import numpy as np
from pydantic import Field, field_validator

from engine.errors import ModelError
from engine.model import Backend, BackendParams, ModelConfig
from engine.models import _openai_wire as wire
from engine.models._checkpoint import find_tokenizer
from engine.models._http import Endpoint, Persistence
from engine.models._openai_tokens import TokenIds
from engine.models._template import ChatTemplate, template_digest
from engine.request import (
    Answer,
    Capability,
    Chat,
    Generate,
    LogLikelihood,
    Message,
    NextToken,
    ReplyLogLikelihood,
    Request,
    Sampling,
)

T = TypeVar("T")
OPENAI_URL = "https://api.openai.com/v1"
EMBED_CHUNK = 128  # texts a request
ENGINE_FIELDS = {"model", "messages", "prompt", "input", "seed", "n", "stream", "echo", "logprobs", "top_logprobs"}


class OpenAIParams(BackendParams):
    """Sampling defaults, the size of embeddings, fields of the vendor's own, and how long a call is tried.

    `tokenizer` names the served model's tokenizer (a folder, or a hub name), so that its chat template can be shown to
    operators that need it (`generate: magpie`). Raw prompts are then sent as they stand, without a beginning-of-text
    token of the server's own, and stop texts may be special tokens; for that vLLM's and SGLang's
    `add_special_tokens` and `skip_special_tokens` are sent, which OpenAI's own API does not know.
    `extra_body` goes with every request (`{add_special_tokens: false}`, `{guided_regex: ...}`). `timeout_s` is for one
    attempt. `max_attempts` counts failures that may be the call's own (5xx, cut connections, time-outs, unreadable
    answers); refusals for load (429, 503) and a server that can't be reached are waited out for `patience_s`.
    """

    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    stop: Annotated[tuple[str, ...], Field(strict=False)] = ()
    tokenizer: str | None = Field(None, min_length=1)
    dimensions: int | None = Field(None, ge=1)
    extra_body: dict[str, Any] = Field(default_factory=dict)
    timeout_s: float = Field(600, gt=0)
    max_attempts: int = Field(8, ge=1)
    patience_s: float = Field(600, ge=0)

    @field_validator("extra_body")
    @classmethod
    def _leaves_the_engine_its_fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted((ENGINE_FIELDS | cls.model_fields.keys()) & value.keys())
        if taken:
            raise ValueError(f"{', '.join(taken)}: set by the engine, or a parameter of its own")
        return value


class OpenAI(Backend):
    """A served model. `api_key` falls back to the environment variable OPENAI_API_KEY."""

    Params = OpenAIParams
    requires: ClassVar[frozenset[str]] = frozenset({"model"})
    accepts: ClassVar[frozenset[str]] = frozenset({"revision", "base_url", "api_key"})
    offers: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.GENERATE,
            Capability.CHAT,
            Capability.LOGLIKELIHOOD,
            Capability.NEXT_TOKEN_LOGPROBS,
            Capability.EMBED,
        }
    )

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config.params, OpenAIParams)
        self.params = config.params
        address = config.base_url or OPENAI_URL
        secret = config.api_key.get_secret_value() if config.api_key else os.environ.get("OPENAI_API_KEY", "")
        budgets = Persistence(self.params.timeout_s, self.params.max_attempts, self.params.patience_s)
        self._endpoint = Endpoint(config.name, address, secret.strip(), config.concurrency, budgets)
        self._tokens = TokenIds(self._endpoint, str(config.model))
        self._template = ChatTemplate(self._tokenizer_folder)
        # OpenAI's newer models know the later name alone, most other servers the earlier one.
        self._chat_limit = "max_completion_tokens" if address.startswith("https://api.openai.com/") else "max_tokens"

    def identity(self) -> dict[str, Any]:
        """Name, revision, chat template, size of embeddings and vendor fields.

        Sampling is in the requests, patience in nothing.
        """
        chosen = {
            "name": self.config.model,
            "revision": self.config.revision,
            "template": None if self.params.tokenizer is None
            else template_digest(self._tokenizer_folder(), self.params.tokenizer),
            "dimensions": self.params.dimensions,
            "extra_body": self.params.extra_body or None,
        }  # fmt: skip
        return {"backend": "openai", **{k: v for k, v in chosen.items() if v is not None}}

    @property
    def sampling(self) -> Sampling:
        """The params of the same names."""
        return Sampling(**self.params.model_dump(include=set(Sampling.model_fields)))

    async def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """See `Backend.render`; needs the parameter `tokenizer`."""
        self._check_template()
        return await self._template.render(messages, add_generation_prompt=add_generation_prompt)

    def _check_template(self) -> None:
        if self.params.tokenizer is None:
            raise ModelError(
                f"model {self.config.name} can't show its chat template: the server keeps its tokenizer to itself",
                cure="name the tokenizer in the model's params (tokenizer: FOLDER or a hub name)",
            )

    async def _reply_loglikelihood(self, messages: Sequence[Message]) -> Answer:
        """Of the text that the tokenizer's template makes of the messages, sent as it stands."""
        self._check_template()
        reply, tokens = await self._template.reply(messages)
        prompt, text = reply.text[: reply.start], reply.text[reply.start : reply.end]
        body = {**wire.loglikelihood_body(prompt, text), "add_special_tokens": False}
        answer = await self._ask("completions", body, wire.read_loglikelihood(prompt, text, exact=True))
        if answer.tokens_out != tokens:
            raise ModelError(
                f"the server makes {answer.tokens_out} tokens of a reply, and {self.params.tokenizer} {tokens}",
                cure="name the served model's own tokenizer in the model's params",
            )
        return answer

    def _tokenizer_folder(self) -> Path:
        return find_tokenizer(str(self.params.tokenizer), self.config.folder)

    def embedding_dim(self) -> int | None:
        """The parameter `dimensions`; unknown without it."""
        return self.params.dimensions

    async def start(self) -> None:
        """Open the HTTP session; connects to nothing yet."""
        await self._endpoint.start()

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()

    async def answer(self, request: Request) -> Answer:
        """Ask the server. A request's sampling is complete: the gate has put it over `sampling`."""
        match request:
            case Chat(messages=messages, sampling=sampling, draw=draw):
                body = {
                    "messages": wire.message_fields(messages),
                    **wire.sampling_fields(sampling, draw, self._chat_limit),
                }
                return await self._ask("chat/completions", body, wire.read_chat)
            case Generate(prompt=prompt, sampling=sampling, draw=draw):
                body = {"prompt": prompt, **wire.sampling_fields(sampling, draw)}
                if self.params.tokenizer is not None:
                    body |= wire.exact_fields(sampling)
                return await self._ask("completions", body, wire.read_completion)
            case LogLikelihood(context=context, continuation=continuation):
                body = wire.loglikelihood_body(context, continuation)
                return await self._ask("completions", body, wire.read_loglikelihood(context, continuation))
            case ReplyLogLikelihood(messages=messages):
                return await self._reply_loglikelihood(messages)
            case NextToken():
                return await self._next_token(request)
            case _:
                return await super().answer(request)

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors in the order of the texts, asked for in lists of `EMBED_CHUNK`."""
        chunks = [texts[i : i + EMBED_CHUNK] for i in range(0, len(texts), EMBED_CHUNK)]
        ended = await asyncio.gather(*map(self._embed, chunks), return_exceptions=True)  # leaves none behind in flight
        for part in ended:
            if isinstance(part, BaseException):
                raise part
        parts = cast("list[np.ndarray]", ended)
        return np.concatenate(parts) if parts else np.empty((0, self.params.dimensions or 0), np.float32)

    async def _next_token(self, request: NextToken) -> Answer:
        """By the candidates' ids where the server shows tokens by id, else out of the most likely tokens."""
        path = "completions" if request.messages is None else "chat/completions"
        named = await self._tokens.of(request.candidates)
        if named is not None:
            answer, attempts = await self._post(path, named.body(request), named.reader(request))
            if answer is not None:
                return _counting(answer, attempts)
            self._tokens.give_up()
        return await self._ask(path, wire.next_token_body(request), wire.read_next_token(request))

    async def _embed(self, texts: Sequence[str]) -> np.ndarray:
        body: dict[str, Any] = {"input": list(texts)}
        if self.params.dimensions is not None:
            body["dimensions"] = self.params.dimensions
        vectors, _ = await self._post("embeddings", body, wire.read_embeddings(len(texts)))
        return vectors

    async def _ask(self, path: str, body: dict[str, Any], read: Callable[[Any], Answer]) -> Answer:
        answer, attempts = await self._post(path, body, read)
        return _counting(answer, attempts)

    def _post(self, path: str, body: dict[str, Any], read: Callable[[Any], T]) -> Coroutine[Any, Any, tuple[T, int]]:
        return self._endpoint.post(path, {"model": self.config.model, **body, **self.params.extra_body}, read)


def _counting(answer: Answer, attempts: int) -> Answer:
    """An answer with the requests that it took."""
    return answer if attempts == 1 else replace(answer, attempts=attempts)
