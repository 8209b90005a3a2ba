"""Requests and answers as JSON: what a call's identity is made of, what the ledger keeps and the catalog shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from engine.request import (
    Answer,
    Chat,
    Embed,
    Generate,
    LogLikelihood,
    NextToken,
    ReplyLogLikelihood,
    Request,
    Reward,
)


def render(request: Request) -> bytes:
    """All that decides an answer besides the model, as canonical JSON; also what the catalog shows."""
    body: dict[str, Any] = {"kind": request.kind}
    match request:
        case Generate(prompt, sampling, drawn):
            body |= {"prompt": prompt, "sampling": sampling.given, "draw": drawn}
        case Chat(messages, sampling, drawn):
            body |= {"messages": messages, "sampling": sampling.given, "draw": drawn}
        case LogLikelihood(context, continuation):
            body |= {"context": context, "continuation": continuation}
        case NextToken(candidates, messages, prompt):
            body |= {"candidates": candidates, "messages": messages, "prompt": prompt}
        case Embed(text):
            body |= {"text": text}
        case Reward(messages) | ReplyLogLikelihood(messages):
            body |= {"messages": messages}
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def encode(answer: Answer) -> str:
    """An answer as the ledger keeps it, but for its vector; fields without a value are left out."""
    fields = {
        "text": answer.text, "value": answer.value, "finish_reason": answer.finish_reason,
        "tokens_in": answer.tokens_in, "tokens_out": answer.tokens_out,
        "tool_calls": list(answer.tool_calls) or None,
        # JSON has neither NaN nor -inf: such a value is null, and so is a candidate that the backend can't see
        "logprobs": None if answer.logprobs is None
        else {k: v if v > float("-inf") else None for k, v in answer.logprobs.items()},
    }  # fmt: skip
    return orjson.dumps({k: v for k, v in fields.items() if v is not None}).decode()


def decode(response: str, vector: bytes | None) -> Answer:
    """The inverse of `encode`."""
    fields = orjson.loads(response)
    if "value" in fields and fields["value"] is None:
        fields["value"] = float("nan")
    if "logprobs" in fields:
        fields["logprobs"] = {k: float("-inf") if v is None else v for k, v in fields["logprobs"].items()}
    fields["tool_calls"] = tuple(fields.get("tool_calls", ()))
    return Answer(vector=None if vector is None else np.frombuffer(vector, np.float32), **fields)
