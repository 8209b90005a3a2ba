"""From a conversation to the text that a model sees, and to the parts of that text that it is trained on.

Spans come from the chat template itself, never from searching the text: by its generation markers, or else by rendering
the conversation up to each assistant turn. The header of a turn is outside of its span, the end of turn inside.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from trainers.data.folder import Base
from trainers.errors import HandoffError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Message = Mapping[str, Any]
Span = tuple[int, int]
Masking = Literal["generation", "prefix", "all"]

PLAIN = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ message['content'] }}{% endif %}{% endfor %}"
)
"""`chat_template: plain`: contents one after the other, the end of text after each answer."""

GENERIC = ("TokenizersBackend", "PreTrainedTokenizerFast")
"""What the configuration of a tokenizer names that is nothing but its tokenizer.json."""

MARKER = re.compile(r"\{%-?\s*generation\s*-?%\}")


class RowError(Exception):
    """A row that can't be rendered or masked; `code` is a key of `cures.CURES`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Rendered:
    """A row's text and the character spans `[start, end)` of its loss targets, in their order."""

    text: str
    spans: tuple[Span, ...]


def load_tokenizer(base: Base, chat_template: str | None) -> PreTrainedTokenizerFast:
    """The base's tokenizer, under the template that `chat_template`, the base or the tokenizer itself gives.

    Raises:
        HandoffError: there is none, or it is not a fast one (the masks need its offsets).
    """
    try:
        tokenizer = _tokenizer_class(base.model).from_pretrained(base.model, revision=base.revision or "main")
    except (OSError, ValueError) as error:
        raise HandoffError(f"no tokenizer can be loaded from {base.model} ({error}): check base.model") from None
    if not tokenizer.is_fast:
        raise HandoffError(f"{base.model} has no fast tokenizer (tokenizer.json): convert it by transformers")
    chosen = chat_template or base.chat_template
    if chosen is not None:
        tokenizer.chat_template = PLAIN if chosen == "plain" else chosen
    return cast("PreTrainedTokenizerFast", tokenizer)


def _tokenizer_class(model: str) -> Any:
    """The class that serving would use too: a family's own may tokenise otherwise than the generic one.

    A folder that names the generic class is loaded by it: looking for a family's imports torch, 270 MiB.
    """
    import transformers

    config = Path(model) / "tokenizer_config.json"
    named = json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class") if config.is_file() else None
    return transformers.PreTrainedTokenizerFast if named in GENERIC else transformers.AutoTokenizer


def hashes(tokenizer: PreTrainedTokenizerFast) -> dict[str, str]:
    """SHA-256 of the chat template's text and of the tokenizer as JSON: what decides ids and masks."""
    texts = {"template": str(tokenizer.chat_template or ""), "tokenizer": tokenizer.backend_tokenizer.to_str()}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


class Renderer:
    """Renders conversations with a tokenizer's chat template, which is compiled once."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, train_on: str) -> None:
        """Raises HandoffError where the tokenizer has no chat template."""
        if not tokenizer.chat_template:
            raise HandoffError(
                "the base's tokenizer has no chat template: name one as params.chat_template, "
                "or train on prompt and completion (format: completion)"
            )
        self._template = str(tokenizer.chat_template)
        self._variables = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
        self.masking: Masking = (
            "all" if train_on == "all" else "generation" if MARKER.search(self._template) else "prefix"
        )

    def render(self, messages: Sequence[Message]) -> Rendered:
        """Raises RowError where the template refuses the conversation, or gives no mask."""
        turns = _checked(messages)
        if self.masking == "generation":
            text, spans = self._text(turns, marked=True)
            return Rendered(text, tuple(spans))
        text, _ = self._text(turns)
        if self.masking == "all":
            return Rendered(text, ((0, len(text)),))
        answers = [i for i, turn in enumerate(turns) if turn["role"] == "assistant"]
        return Rendered(text, tuple(self._between(turns, i, text) for i in answers))

    def prompt(self, messages: Sequence[Message]) -> str:
        """A conversation that is the assistant's turn to go on; raises as `render`."""
        return self._text(_checked(messages), add_generation_prompt=True)[0]

    def _between(self, turns: Sequence[Message], answer: int, text: str) -> Span:
        """The span of one answer: what stands between the text before it and the text up to and including it."""
        before, _ = self._text(turns[:answer], add_generation_prompt=True)
        until, _ = self._text(turns[: answer + 1])
        if not (text.startswith(until) and until.startswith(before)):
            raise RowError(
                "prefix_mismatch",
                "the chat template has no generation markers, and renders the beginning of a talk in another way "
                "when more follows it",
            )
        return len(before), len(until)

    def _text(
        self, turns: Sequence[Message], *, marked: bool = False, add_generation_prompt: bool = False
    ) -> tuple[str, list[Span]]:
        from jinja2 import TemplateError
        from transformers.utils import chat_template_utils

        render: Any = chat_template_utils.render_jinja_template
        try:
            texts, spans = render(
                [list(turns)],
                chat_template=self._template,
                return_assistant_tokens_mask=marked,
                add_generation_prompt=add_generation_prompt,
                **self._variables,
            )
        except (TemplateError, TypeError, KeyError) as error:
            raise RowError("template_refuses", f"the chat template refuses it: {error}") from None
        return texts[0], [tuple(span) for span in spans[0]] if marked else []


def _checked(messages: Sequence[Message] | None) -> list[dict[str, Any]]:
    """The turns without the fields that Arrow fills with nulls."""
    if not messages:
        raise RowError("no_messages", "messages is null or empty")
    turns = [{name: value for name, value in turn.items() if value is not None} for turn in messages]
    for number, turn in enumerate(turns, 1):
        if "role" not in turn or not ("content" in turn or turn.get("tool_calls")):
            raise RowError("no_messages", f"turn {number} has a null role or content")
    talk = [turn["role"] for turn in turns if turn["role"] != "system"]
    if talk and talk[0] == "assistant":
        raise RowError("role_order", "it begins with the assistant")
    for first, second in pairwise(talk):
        if first == second and first in ("user", "assistant"):
            raise RowError("role_order", f"two turns of the {first} follow each other")
    return turns
