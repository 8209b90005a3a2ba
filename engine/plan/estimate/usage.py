"""What calls take: how many they are, and their tokens; and the tokens of texts and requests that are at hand.

A token has between 2.5 and 6 characters in the tokenizers in use (`needs.tokens_in`). The upper bound counts
bytes in the place of characters, since scripts other than Latin take more tokens, and the lower one takes no text for
less than its words, however long they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from engine.needs import tokens_in
from engine.plan.spans import NOTHING, UNKNOWN, Span, total
from engine.request import (
    Chat,
    Embed,
    Generate,
    LogLikelihood,
    NextToken,
    ReplyLogLikelihood,
    Request,
    Reward,
)
from engine.schema import is_text

FRAME = Span(0, 64)
"""Tokens that a chat template puts around one conversation: roles, ends of turns, a system text of its own."""


@dataclass(frozen=True)
class Usage:
    """Calls, and the tokens of all of them together."""

    calls: Span = NOTHING
    tokens_in: Span = NOTHING
    tokens_out: Span = NOTHING

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls, self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out
        )  # fmt: skip

    def __mul__(self, times: Span) -> Usage:
        return Usage(self.calls * times, self.tokens_in * times, self.tokens_out * times)


def tokens_of(text: str) -> Span:
    """Bounds of a text's tokens."""
    return Span(*tokens_in(text))


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a row's value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts_in(inner)


def may_hold_text(kind: pa.DataType) -> bool:
    """Whether values of a type have texts in them, at any depth."""
    if pa.types.is_nested(kind):
        return any(may_hold_text(kind.field(i).type) for i in range(kind.num_fields))
    return is_text(kind)


def tokens_in_all(values: Iterable[Any]) -> Span:
    """Bounds of the tokens of all texts in some values."""
    return total(tokens_of(text) for value in values for text in texts_in(value))


def usage_of(request: Request) -> Usage:
    """What one request takes. A vector's tokens are not counted, here as in the ledger."""
    one = Span(1, 1)
    match request:
        case Embed():
            return Usage(one)
        case Chat(messages=messages, sampling=sampling):
            return Usage(one, _chat(messages) + FRAME, Span(0, sampling.max_tokens))
        case Generate(prompt=prompt, sampling=sampling):
            return Usage(one, tokens_of(prompt) + Span(0, 1), Span(0, sampling.max_tokens))
        case LogLikelihood(context=context, continuation=continuation):
            return _read(Span(0, tokens_of(context).high) + Span(0, 1), tokens_of(continuation))
        case ReplyLogLikelihood(messages=messages):
            return _read(Span(0, _said(messages[:-1]).high) + FRAME, _said(messages[-1:]) + FRAME)
        case NextToken(messages=messages, prompt=prompt):
            asked = tokens_of(prompt or "") if messages is None else _chat(messages)
            return Usage(one, asked + FRAME, Span(0, 1))
        case Reward(messages=messages):
            return Usage(one, Span(0, _said(messages).high) + FRAME, Span(0, 1))
    return Usage(one, UNKNOWN, UNKNOWN)


def _said(messages: Iterable[Any]) -> Span:
    return tokens_in_all(message.get("content") for message in messages)


def _chat(messages: Sequence[Any]) -> Span:
    """A conversation's tokens; of turns before the last one some backends count none (a prefix that is kept)."""
    return Span(_said(messages[-1:]).low, _said(messages).high)


def _read(context: Span, reply: Span) -> Usage:
    """A likelihood: the reply's tokens count as those that came out; some backends count them among both."""
    return Usage(Span(1, 1), context + Span(0, reply.high), Span(0, reply.high))
