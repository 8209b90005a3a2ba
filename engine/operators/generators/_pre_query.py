"""What stands before a user's message: Magpie's prompts, by family or read off any chat template; and where to stop.

A model that is given this text, as a raw completion, writes the user's message itself. The families and their stop
texts follow the official scripts (github.com/magpie-align/magpie). No sampling is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from engine.errors import ModelError
from engine.model import Model
from engine.request import Message

SENTINELS = ("vnqkzxwj", "qwmzjkvx")
"""User messages that no template writes by itself, and that no template trims or quotes."""

MARKER = re.compile(r"<[^<>\s]{1,40}>|\[/?[A-Z_]{2,20}\]")
"""How special tokens are spelt: <|im_end|>, </s>, <end_of_turn>, [/INST]."""


@dataclass(frozen=True)
class Family:
    """Models of one chat format: a first turn's prompt is `begin` and `header`, a later one's ends with the header."""

    begin: str  # beginning of text, and the system turn that the model was trained to see by default
    header: str
    stops: tuple[str, ...]
    words: tuple[str, ...] = ("assistant",)
    newline: bool = True  # a first instruction ends at its first line
    sanitize: bool = False
    no_headings: bool = False  # Llama 3.1 is not to begin with "#"


_LLAMA_STOPS = ("<|eot_id|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>")
_LLAMA_HEADER = "<|start_header_id|>user<|end_header_id|>\n\n"
_LLAMA_31 = Family(
    "<|begin_of_text|>", _LLAMA_HEADER, _LLAMA_STOPS, newline=False, sanitize=True, no_headings=True
)  # fmt: skip
_QWEN_STOPS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
_QWEN_WORDS = ("assistant", "Assistant")
_QWEN_SYSTEM = (
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
)  # fmt: skip
_PHI_STOPS = ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|endoftext|>")

FAMILIES = {
    "llama-3": Family("<|begin_of_text|>", _LLAMA_HEADER, _LLAMA_STOPS, sanitize=True),
    "llama-3.1": _LLAMA_31,
    "llama-3.3": _LLAMA_31,
    "qwen2": Family("", "<|im_start|>user\n", _QWEN_STOPS, words=_QWEN_WORDS),
    "qwen2.5": Family(_QWEN_SYSTEM, "<|im_start|>user\n", _QWEN_STOPS, words=_QWEN_WORDS),
    "gemma-1.1": Family("<bos>", "<start_of_turn>user\n", ("<eos>", "<bos>", "<end_of_turn>", "<start_of_turn>")),
    "gemma-2": Family(
        "<bos>", "<start_of_turn>user\n\n", ("<eos>", "<bos>", "<end_of_turn>"), newline=False, sanitize=True
    ),
    "phi-3": Family("<s> ", "<|user|>\n", _PHI_STOPS),
    "phi-3-small": Family("<|endoftext|>", "<|user|>\n", _PHI_STOPS),
    "mistral": Family("<s>", " [INST] ", ("</s>", "<s>", "[INST]", "[/INST]")),
    "llama-2": Family("<s>", " [INST] ", ("</s>", "<s>")),
    "yi-1.5": Family(
        "<|startoftext|>", "<|im_start|>user\n", ("<|startoftext|>", "<|endoftext|>", "<|im_end|>")
    ),
}  # fmt: skip


async def before_user(model: Model, family: Family | None, turns: Sequence[Message]) -> str:
    """The prompt of the next user turn after `turns` (a system turn, the talk so far, or nothing).

    Raises:
        ModelError: the chat template is needed and can't be shown, or it can't be read this way.
    """
    if family is None:
        return (await around_user(model, turns))[0]
    return (await model.render(turns) if turns else family.begin) + family.header


async def stop_texts(model: Model, family: Family | None) -> tuple[str, ...]:
    """The texts that end a user turn: of a family its list, of a template every marker that it writes around turns.

    A template without any marker ("USER: ...", newline, "ASSISTANT: ...") ends a turn with what it writes there.
    """
    if family is not None:
        return family.stops
    before, after = await around_user(model, ())
    markers = dict.fromkeys(MARKER.findall(after + before))
    with suppress(ModelError):  # a template without system turns has no markers for them
        markers |= dict.fromkeys(MARKER.findall((await around_user(model, ({"role": "system", "content": "x"},)))[0]))
    return tuple(markers) or ((after.strip(),) if after.strip() else ())


async def around_user(model: Model, turns: Sequence[Message]) -> tuple[str, str]:
    """What the chat template writes before the user turn that follows `turns`, and after it up to the reply.

    Raises:
        ModelError: what it writes depends on the message, or leaves it out or repeats it.
    """
    found = []
    for sentinel in SENTINELS:
        talk = [*turns, {"role": "user", "content": sentinel}]
        found.append((await model.render(talk, add_generation_prompt=True)).split(sentinel))
    if len(found[0]) != 2 or found[0] != found[1]:
        raise ModelError(
            "the chat template changes with the user's message, so what stands before it can't be told",
            cure=f"name the model's family in params.template: {', '.join(FAMILIES)}",
        )
    return found[0][0], found[0][1]


def cut(text: str, stops: Sequence[str]) -> str:
    """The text before the first of the stop texts, without white space at its ends.

    Servers cut at stop texts themselves, but hide special tokens from them, and some go on after a token that they
    do not know as an end.
    """
    ends = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return text[: min(ends, default=len(text))].strip()
