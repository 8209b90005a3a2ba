"""`use: scripted`: exact replies and injected faults, for tests of pipelines without a model or a server.

    judge:
      use: scripted
      params:
        replies:                                        # tried in order; the first whose `match` is found answers
          - {match: "(?i)capital of france", reply: Paris}
          - {match: "Rate the", reply: ["4", "5"]}      # several: chosen by the draw, the first one when greedy
          - {match: "Yes or no", logprobs: {"Yes": -0.1, "No": -2.4}}
        default: "You said: {last_user} (draw {draw})"  # also {n}, the number of messages; without it: an error
        faults:                                         # the first that selects a call
          - {kind: timeout, match: poison, times: always}
          - {kind: 429, every: 3}                       # one call in three fails once, then answers
        latency_ms: 5

Everything depends on the request alone, never on the order of arrival: a build gives the same rows and the same
errors every time. `match` searches the last user message, the prompt, the text, context and continuation together,
or the reply that is judged or whose likelihood is asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import orjson
from pydantic import AfterValidator, Field, model_validator

from engine.errors import ModelError
from engine.model import Backend, BackendParams, ModelConfig
from engine.request import (
    Answer,
    Capability,
    Chat,
    Embed,
    Generate,
    LogLikelihood,
    Message,
    NextToken,
    ReplyLogLikelihood,
    Request,
    Reward,
    Sampling,
)

MAX_ATTEMPTS = 8  # as `use: openai` has it: a call that fails this often is given up
MESSAGES = {
    429: "status 429: injected: too many requests",
    500: "status 500: injected: server error",
    "timeout": "injected: no answer in time",
    "cut": "injected: connection lost",
    "broken_json": "injected: the answer is not JSON",
}


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class Rule(BackendParams):
    """What is answered to calls that `match`: one field for each kind of call that the rule is for."""

    match: Pattern = ""
    reply: str | Annotated[list[str], Field(min_length=1)] | None = None  # generate and chat
    finish_reason: Literal["stop", "length"] = "stop"
    logprobs: dict[str, float] | None = None  # next-token calls; a candidate not named gets -inf
    value: float | None = None  # log-likelihood and reward
    vector: list[float] | None = None  # embeddings


class Fault(BackendParams):
    """Calls that fail: those that `match`, and of them one in `every`, chosen by the request's hash.

    A call fails `times` times and then answers, as behind a backend that retries; from 8 times on it is given up.
    """

    kind: Literal[429, 500, "timeout", "cut", "broken_json"]
    match: Pattern = ""
    every: int = Field(1, ge=1)
    times: Annotated[int, Field(ge=1)] | Literal["always"] = 1


class ScriptedParams(BackendParams):
    """The script. Without a rule, log-probabilities, rewards and vectors are made up from the request's hash."""

    replies: list[Rule] = Field(default_factory=list)
    default: str | None = None
    dim: int = Field(8, ge=1)  # of embeddings
    faults: list[Fault] = Field(default_factory=list)
    latency_ms: float = Field(0, ge=0)  # of each attempt

    @model_validator(mode="after")
    def _vectors_have_dim(self) -> ScriptedParams:
        for i, rule in enumerate(self.replies):
            if rule.vector is not None and len(rule.vector) != self.dim:
                raise ValueError(f"replies[{i}].vector has {len(rule.vector)} numbers, dim is {self.dim}")
        return self


class Scripted(Backend):
    """Answers from the script; keeps nothing on disk and needs no server."""

    Params = ScriptedParams
    offers: ClassVar[frozenset[Capability]] = frozenset(Capability)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config.params, ScriptedParams)
        self.params = config.params

    def identity(self) -> dict[str, Any]:
        """What is answered. Faults and latency aren't part of it: they decide when there is an answer, never which.

        So a build that lost rows to a fault finds the others' answers again when the fault is taken out.
        """
        script = self.params.model_dump(mode="json", exclude_defaults=True, exclude={"faults", "latency_ms"})
        return {"backend": "scripted", "script": script}

    def embedding_dim(self) -> int:
        """The parameter `dim`."""
        return self.params.dim

    async def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """Each turn as `<|role|>content<|end|>`; a reply begins with `<|assistant|>`."""
        turns = "".join(f"<|{m['role']}|>{m['content']}<|end|>" for m in messages)
        return turns + "<|assistant|>" if add_generation_prompt else turns

    async def answer(self, request: Request) -> Answer:
        """The answer of the first rule that matches and has the field for this kind of call, after the faults."""
        text = _text(request)
        attempts = await self._live_through_faults(request, text)
        answer = self._reply(request, text) if isinstance(request, Chat | Generate) else self._number(request, text)
        return replace(answer, tokens_in=len(text.split()), attempts=attempts)

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), dim)."""
        answers = await asyncio.gather(*(self.answer(Embed(text)) for text in texts))
        return np.array([a.vector for a in answers], np.float32).reshape(len(texts), self.params.dim)

    async def _live_through_faults(self, request: Request, text: str) -> int:
        """Fail as often as the script says; returns how many requests it took."""
        bits = _bits(request)
        fault = next((f for f in self.params.faults if bits % f.every == 0 and re.search(f.match, text)), None)
        failing = 0 if fault is None else MAX_ATTEMPTS if fault.times == "always" else min(fault.times, MAX_ATTEMPTS)
        attempts = min(failing + 1, MAX_ATTEMPTS)
        await asyncio.sleep(attempts * self.params.latency_ms / 1000)
        if fault is not None and failing == MAX_ATTEMPTS:
            status = fault.kind if isinstance(fault.kind, int) else None
            raise ModelError(f"{self.config.name}: {MESSAGES[fault.kind]}", status=status, attempts=attempts)
        return attempts

    def _reply(self, request: Chat | Generate, text: str) -> Answer:
        rule = self._rule(text, "reply") or Rule(reply=self.params.default)
        if rule.reply is None:
            message = f"{self.config.name}: no reply in the script for: {text[:200]}"
            raise ModelError(message, cure="add a rule that matches, or `default`")
        choices = rule.reply if isinstance(rule.reply, list) else [rule.reply]
        size = len(request.messages) if isinstance(request, Chat) else 1
        values = {"last_user": text, "n": str(size), "draw": str(request.draw)}
        reply = re.sub(r"\{(last_user|n|draw)\}", lambda found: values[found[1]], choices[request.draw % len(choices)])
        return Answer(text=reply, finish_reason=rule.finish_reason, tokens_out=len(reply.split()))

    def _number(self, request: LogLikelihood | ReplyLogLikelihood | NextToken | Embed | Reward, text: str) -> Answer:
        noise = np.random.default_rng(_bits(request))
        match request:
            case NextToken(candidates=candidates):
                rule = self._rule(text, "logprobs")
                made_up = np.log(noise.dirichlet(np.ones(len(candidates)))).tolist()
                known = rule.logprobs if rule and rule.logprobs else dict(zip(candidates, made_up, strict=True))
                return Answer(logprobs={c: known.get(c, -math.inf) for c in candidates}, tokens_out=1)
            case Embed():
                rule = self._rule(text, "vector")
                vector = rule.vector if rule else noise.standard_normal(self.params.dim)
                return Answer(vector=np.asarray(vector, np.float32))
            case LogLikelihood(continuation=continuation):
                return self._likelihood(text, max(1, len(continuation.split())), noise)
            case ReplyLogLikelihood():
                return self._likelihood(text, len(text.split()) + 1, noise)  # and the end of its turn
            case Reward():
                rule = self._rule(text, "value")
                return Answer(value=rule.value if rule else float(noise.standard_normal()))

    def _likelihood(self, text: str, tokens: int, noise: np.random.Generator) -> Answer:
        rule = self._rule(text, "value")
        value = rule.value if rule else -float(noise.exponential(2.0, tokens).sum())
        return Answer(value=value, tokens_out=tokens)

    def _rule(self, text: str, field: str) -> Rule | None:
        matching = (r for r in self.params.replies if getattr(r, field) is not None and re.search(r.match, text))
        return next(matching, None)


def _text(request: Request) -> str:
    """What `match` searches and `{last_user}` stands for."""
    match request:
        case Chat(messages=messages) | NextToken(messages=tuple(messages)):
            users = [m for m in messages if m["role"] == "user"]
            return str((users or messages)[-1]["content"] or "")
        case Reward(messages=messages) | ReplyLogLikelihood(messages=messages):
            return str(messages[-1]["content"] or "")
        case LogLikelihood(context=context, continuation=continuation):
            return context + continuation
        case Embed(text=text):
            return text
        case Generate(prompt=prompt) | NextToken(prompt=prompt):
            return prompt or ""


def _bits(request: Request) -> int:
    """48 bits from all of a request."""
    rendered = orjson.dumps(request, default=Sampling.model_dump, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(hashlib.blake2b(request.kind.encode() + rendered, digest_size=6).digest())
