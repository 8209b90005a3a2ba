"""The OpenAI protocol as pure functions: the body of a request, and the answer in a reply.

Readers raise lookup, type and value errors for replies of another shape (the endpoint tries those again), and a
`CallError` that is not tried again where the server can't do what was asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, TypedDict

import numpy as np

from engine.models._failures import CallError
from engine.models._limiter import Outcome
from engine.request import Answer, Message, NextToken, Sampling

TOP_LOGPROBS = 20  # the most that OpenAI and vLLM give
ELSEWHERE = "ask a server that echoes the prompt's tokens (vLLM does), or use a model with use: transformers"

Body = dict[str, Any]


def sampling_fields(sampling: Sampling, draw: int, limit: str = "max_tokens") -> Body:
    """The fields that say how a reply is drawn; `limit` is the server's name for the most tokens."""
    fields: Body = {**sampling.given}
    if "max_tokens" in fields:
        fields[limit] = fields.pop("max_tokens")
    if not sampling.greedy:
        fields["seed"] = draw
    return fields


def exact_fields(sampling: Sampling) -> Body:
    """No token is put before a raw prompt; special tokens are shown where a stop text may be one (vLLM, SGLang)."""
    shown: Body = {"skip_special_tokens": False} if sampling.stop else {}
    return {"add_special_tokens": False, **shown}


def message_fields(messages: Sequence[Message]) -> list[Body]:
    """Messages without the fields that Arrow fills with nulls; a null `content` stays (an assistant's tool call)."""
    return [{k: v for k, v in message.items() if v is not None or k == "content"} for message in messages]


def loglikelihood_body(context: str, continuation: str) -> Body:
    """Echo the whole text with its log-probabilities; the one token that must be generated is not looked at."""
    return {"prompt": context + continuation, "max_tokens": 1, "temperature": 1, "echo": True, "logprobs": 1}


def next_token_body(request: NextToken, most_likely: int = TOP_LOGPROBS) -> Body:
    """One token with the most likely ones; at temperature 1, for servers that scale before they report."""
    if request.messages is None:
        return {"prompt": request.prompt, "max_tokens": 1, "temperature": 1, "logprobs": most_likely}
    asked = {"max_tokens": 1, "temperature": 1, "logprobs": True, "top_logprobs": most_likely}
    return {"messages": message_fields(request.messages), **asked}


def read_chat(reply: Any) -> Answer:
    """The first choice. A reply without text (a tool call, a budget spent on reasoning) has the text ""."""
    choice = reply["choices"][0]
    message = choice["message"]
    text = message.get("content") or ""
    if not isinstance(text, str):
        raise TypeError("content is not a string")
    calls = tuple(message.get("tool_calls") or ())
    return Answer(text=text, finish_reason=choice.get("finish_reason"), tool_calls=calls, **usage(reply))


def read_completion(reply: Any) -> Answer:
    """The first choice."""
    choice = reply["choices"][0]
    text = choice["text"]
    if not isinstance(text, str):
        raise TypeError("text is not a string")
    return Answer(text=text, finish_reason=choice.get("finish_reason"), **usage(reply))


def read_loglikelihood(context: str, continuation: str, *, exact: bool = False) -> Callable[[Any], Answer]:
    """A reader for the sum over the tokens of the continuation, told by where each token stands in the text.

    White space at the end of the context counts to the continuation, as in lm-evaluation-harness
    (`TemplateLM._encode_pair`), unless the border is `exact`; a token that straddles it counts, too. The first token of
    a text has no log-probability where the tokenizer puts none before it: it is neither in the sum nor in `tokens_out`.
    """
    tail = len(context + continuation) - len(context if exact else context.rstrip())

    def read(reply: Any) -> Answer:
        logprobs = _logprobs(reply)
        size = reply["usage"]["prompt_tokens"]
        tokens = logprobs["tokens"][:size]
        spelt = "".join(tokens)
        if not spelt.endswith(context + continuation):  # a server may put a token (<s>) before the text
            raise _cannot("the server's tokens do not spell the text, so the continuation's can't be told", ELSEWHERE)
        border = len(spelt) - tail
        ends = accumulate(len(token) for token in tokens)
        # A character that takes several tokens is spelt by the last of them; the others are "" and start at it.
        summed = [
            p
            for token, p, end in zip(tokens, logprobs["token_logprobs"], ends, strict=False)
            if p is not None and (end > border or end - len(token) == border)
        ]
        if not summed:
            raise _cannot("no token of the continuation has a log-probability", "give a context")
        return Answer(value=math.fsum(summed), tokens_in=size - len(summed), tokens_out=len(summed))

    return read


def read_next_token(request: NextToken) -> Callable[[Any], Answer]:
    """A reader for the candidates' log-probabilities; -inf for one that is not among the most likely tokens."""

    def read(reply: Any) -> Answer:
        seen = top_tokens(reply, request)
        return Answer(logprobs={c: seen.get(c, -math.inf) for c in request.candidates}, **usage(reply))

    return read


def top_tokens(reply: Any, request: NextToken) -> dict[str, float]:
    """The log-probabilities that a reply shows for its first token, by the tokens' texts."""
    logprobs = _logprobs(reply)
    if request.messages is None:
        top = logprobs["top_logprobs"][0].items()
    else:
        top = [(entry["token"], entry["logprob"]) for entry in logprobs["content"][0]["top_logprobs"]]
    seen: dict[str, float] = {}
    for token, p in top:  # two tokens may have one text
        seen[token] = max(p, seen.get(token, -math.inf))
    return seen


def read_embeddings(count: int) -> Callable[[Any], np.ndarray]:
    """A reader for `count` vectors in the order of their texts: float32 of shape (count, dim)."""

    def read(reply: Any) -> np.ndarray:
        rows = sorted(reply["data"], key=lambda row: row["index"])
        if [row["index"] for row in rows] != list(range(count)):
            raise ValueError(f"{len(rows)} vectors for {count} texts, or not one for each")
        vectors = np.asarray([row["embedding"] for row in rows], dtype=np.float32)
        if vectors.ndim != 2 or not np.isfinite(vectors).all():
            raise ValueError("the vectors are not finite numbers of one length")
        return vectors

    return read


class Usage(TypedDict):
    """Token counts by the names of an answer's fields."""

    tokens_in: int | None
    tokens_out: int | None


def usage(reply: Any) -> Usage:
    """The token counts of a reply."""
    counts = reply.get("usage") or {}
    return {"tokens_in": counts.get("prompt_tokens"), "tokens_out": counts.get("completion_tokens")}


def _logprobs(reply: Any) -> Any:
    logprobs = reply["choices"][0].get("logprobs")
    if not logprobs:
        raise _cannot("the server returned no log-probabilities", ELSEWHERE)
    return logprobs


def _cannot(message: str, cure: str) -> CallError:
    return CallError(message, Outcome.ANSWERED, retry=False, cure=cure)
