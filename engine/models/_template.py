"""A tokenizer's chat template, rendered in this process: by a loaded model, and by those that have no weights here.

The tokenizer is loaded when the first text is rendered, never for a plan that renders none; nothing else is loaded.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from engine.errors import ModelError, SetwrightError
from engine.models._reply import Reply, render_reply, reply_ids
from engine.request import Message


class ChatTemplate:
    """The chat template of the tokenizer in a folder, or `template` (Jinja) with that tokenizer's special tokens."""

    def __init__(self, folder: Callable[[], Path], template: str | None = None) -> None:
        self._folder, self._template = folder, template
        self._tokenizer: Any = None
        self._loading = threading.Lock()
        self._remembered = lru_cache(maxsize=1024)(self._rendered)

    async def render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        """See `engine.model.Model.render`."""
        if self._tokenizer is None:
            await asyncio.to_thread(self._load)
        return self._remembered(orjson.dumps([dict(m) for m in messages]), add_generation_prompt)

    async def reply(self, messages: Sequence[Message]) -> tuple[Reply, int]:
        """The reply that ends the messages, and how many tokens it has: see `render_reply` and `reply_ids`."""
        if self._tokenizer is None:
            await asyncio.to_thread(self._load)
        reply = render_reply(self._tokenizer, self._template, messages)
        return reply, reply_ids(self._tokenizer, reply)[1]

    def _rendered(self, messages: bytes, add_generation_prompt: bool) -> str:
        """Every row of a generator asks for the same few conversations."""
        return render(
            self._tokenizer, self._template, orjson.loads(messages), add_generation_prompt=add_generation_prompt
        )

    def _load(self) -> None:
        with self._loading:
            if self._tokenizer is None:
                self._tokenizer = _load_tokenizer(self._folder())


def render(tokenizer: Any, template: str | None, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
    """Messages by `template`, or else by the tokenizer's own; tool calls are passed on.

    Raises:
        ModelError: there is no chat template, or it refuses these messages.
    """
    from jinja2 import TemplateError

    if template is None and tokenizer.chat_template is None:
        raise ModelError(
            "the tokenizer has no chat template",
            cure="set params.chat_template to a Jinja template, use an instruction-tuned model, or use raw prompts",
        )
    try:
        rendered: str = tokenizer.apply_chat_template(
            [dict(m) for m in messages],
            chat_template=template,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
    except TemplateError as e:
        roles = ", ".join(str(m["role"]) for m in messages)
        raise ModelError(f"the chat template refuses a conversation of {roles}: {e}") from e
    return rendered


def template_digest(folder: Path, name: str) -> str:
    """SHA-256 of the chat template that the tokenizer files of a folder hold, 32 hex characters.

    Raises:
        SetwrightError: there is none.
    """
    text = _template_text(folder)
    if text is None:
        raise SetwrightError(
            f"{name} holds no chat template", cure="name a folder with chat_template.jinja or tokenizer_config.json"
        )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _template_text(folder: Path) -> str | None:
    alone = folder / "chat_template.jinja"
    if alone.is_file():
        return alone.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    if not config.is_file():
        return None
    stored = json.loads(config.read_text(encoding="utf-8")).get("chat_template")
    if isinstance(stored, list):  # several by name, as some tokenizers have them
        stored = next((entry["template"] for entry in stored if entry["name"] == "default"), None)
    return stored if isinstance(stored, str) else None


def _load_tokenizer(folder: Path) -> Any:
    try:
        import transformers
    except ImportError as e:
        raise SetwrightError(
            f"a chat template can't be rendered without transformers ({e})", cure="pip install 'setwright[train]'"
        ) from e
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as e:
        raise SetwrightError(
            f"the tokenizer can't be loaded: {e}", cure="check that tokenizer.json and tokenizer_config.json are there"
        ) from e
