"""Where a reply stands in a conversation: in the text that a chat template makes of it, and in the tokens of that text.

Trainers mask in the same way (`trainers/data/template.py`, `trainers/data/encoder.py`), so that the log-likelihood of a
reply is that of the very tokens that they score.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import ModelError
from engine.request import Message

MARKER = re.compile(r"\{%-?\s*generation\s*-?%\}")
REFUSED = 422


@dataclass(frozen=True)
class Reply:
    """A conversation as text, and the reply in it: `text[start:end]`, its end of turn inside, its header outside."""

    text: str
    start: int
    end: int


def render_reply(tokenizer: Any, template: str | None, messages: Sequence[Message]) -> Reply:
    """The conversation that ends with a reply, by `template` or else by the tokenizer's own.

    Where the reply stands is told by the template's generation markers, or else by what it writes for the turns before
    the reply, opened for one.

    Raises:
        ModelError: there is no chat template, it refuses these messages, or it writes the turns before the reply in
            another way when the reply follows.
    """
    if template is None and tokenizer.chat_template is None:
        raise ModelError("the tokenizer has no chat template", cure="set params.chat_template, or name another model")
    chosen = tokenizer.get_chat_template(template)
    if MARKER.search(chosen):
        text, spans = _render(tokenizer, chosen, messages, return_assistant_tokens_mask=True)
        if not spans:
            raise ModelError("the chat template marks no part of the conversation as a reply", status=REFUSED)
        return Reply(text, *spans[-1])
    before, _ = _render(tokenizer, chosen, messages[:-1], add_generation_prompt=True)
    text, _ = _render(tokenizer, chosen, messages)
    if not text.startswith(before):
        raise ModelError("the chat template writes a prompt in another way when the reply follows", status=REFUSED)
    return Reply(text, len(before), len(text))


def reply_ids(tokenizer: Any, reply: Reply) -> tuple[list[int], int]:
    """The ids of the text up to the end of the reply, and how many of them are the reply's.

    Nothing predicts the first token of a text: it counts to no reply.

    Raises:
        ModelError: the reply has no token, or the prompt alone has other ids than with the reply after it.
    """
    encoding = tokenizer(reply.text, add_special_tokens=False)
    first, last = (_token(encoding, reply, character) for character in (reply.start, reply.end))
    ids: list[int] = encoding["input_ids"]
    scored = last - max(first, 1)
    if scored < 1:
        raise ModelError("the reply has no token of its own", status=REFUSED)
    if tokenizer(reply.text[: reply.start], add_special_tokens=False)["input_ids"] != ids[:first]:
        raise ModelError(
            "the prompt has other tokens with the reply after it than alone: a model that is asked never sees these",
            status=REFUSED,
        )
    return ids[:last], scored


def _render(
    tokenizer: Any, template: str, messages: Sequence[Message], **options: bool
) -> tuple[str, list[tuple[int, int]]]:
    from jinja2 import TemplateError
    from transformers.utils import chat_template_utils

    render: Any = chat_template_utils.render_jinja_template
    variables = tokenizer.special_tokens_map
    try:
        texts, spans = render([[dict(m) for m in messages]], chat_template=template, **options, **variables)
    except (TemplateError, TypeError, KeyError) as e:
        roles = ", ".join(str(m.get("role")) for m in messages)
        raise ModelError(f"the chat template refuses a conversation of {roles}: {e}", status=REFUSED) from None
    return texts[0], spans[0] if spans else []


def _token(encoding: Any, reply: Reply, character: int) -> int:
    """The token of a character, or of the next one that has a token: a normaliser may leave one none."""
    found = (encoding.char_to_token(at) for at in range(character, len(reply.text)))
    return next((token for token in found if token is not None), len(encoding["input_ids"]))
