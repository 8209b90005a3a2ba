"""The parameters of supervised fine-tuning: names, defaults and what each may be.

The engine's operator declares the same names and defaults to specs; a hand-off folder carries them filled in.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from trainers.folder import HandoffError


@dataclass(frozen=True)
class SftConfig:
    """How to train; every field may be left out of `params`."""

    format: Literal["conversation", "completion", "both"] = "conversation"
    """`messages` through the chat template, `prompt` and `completion` as they stand with EOS, or either, row by row."""
    train_on: Literal["assistant", "all"] = "assistant"
    """Loss on the assistant's turns (or the completion), or on every token of the row."""
    epochs: float = 1.0
    max_steps: int | None = None
    """Optimiser steps at most, whatever `epochs` says."""
    learning_rate: float = 2e-5
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = 0.03
    """Share of the steps over which the rate rises from nothing."""
    min_learning_rate: float = 0.0
    """What the rate falls to by the last step."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """Muon takes the hidden matrices, and AdamW the embeddings, the head, norms and biases."""
    muon_learning_rate: float = 0.02
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float = 1.0
    batch_size: int = 32
    """Packs (without packing: rows) of an optimiser step, over all processes."""
    micro_batch_size: int | None = None
    """Packs of a forward pass in one process; None: as many as hold 16,384 tokens."""
    max_length: int = 2048
    packing: bool = True
    over_long: Literal["error", "drop", "truncate"] = "error"
    loss: Literal["token_mean", "sum", "per_sequence_mean"] = "token_mean"
    chunk_tokens: int | None = None
    """Tokens whose logits are in memory at once; None: Liger's rule."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of forward and backward passes; auto: bfloat16 on a GPU that has it, float32 elsewhere."""
    lora_rank: int | None = None
    lora_alpha: int = 16
    lora_dropout: float = 0.0
    lora_targets: tuple[str, ...] | None = None
    """Names of the layers that get an adapter; None: every linear layer but the head."""
    gradient_checkpointing: bool = False
    chat_template: str | None = None
    """Jinja instead of the base's own template; `plain`: contents one after the other, EOS at the end."""
    init: Literal["pretrained", "random"] = "pretrained"
    """random: the base gives configuration and tokenizer, and the seed the weights."""
    save_steps: int = 0
    """A checkpoint every so many steps; 0: only when the run is told to stop."""
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        for name, problem in _problems(self):
            raise HandoffError(f"params.{name} is {getattr(self, name)!r}: {problem}")


def from_params(params: Mapping[str, Any]) -> SftConfig:
    """Check the `params` of a `handoff.json`.

    Raises:
        HandoffError: an unknown name, or a value of another type or out of range; the message names it.
    """
    known = typing.get_type_hints(SftConfig)
    unknown = sorted(params.keys() - known.keys())
    if unknown:
        raise HandoffError(f"params has {', '.join(unknown)}, and train: sft knows only {', '.join(known)}")
    return SftConfig(**{name: _typed(name, value, known[name]) for name, value in params.items()})


def to_params(config: SftConfig) -> dict[str, Any]:
    """The parameters as JSON holds them."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _typed(name: str, value: Any, kind: Any) -> Any:
    """`value` as the type that a field asks for; lists become tuples, whole numbers floats where floats are wanted."""
    converted = _converted(value, kind)
    if converted is None and not (value is None and type(None) in get_args(kind)):
        raise HandoffError(f"params.{name} is {value!r}: it must be {_spoken(kind)}")
    return converted


def _converted(value: Any, kind: Any) -> Any:
    """`value` as one of a `kind`, or None where it isn't one."""
    origin, members = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return next((found for member in members if (found := _converted(value, member)) is not None), None)
    if origin is Literal:
        return value if value in members else None
    if origin is tuple and isinstance(value, list | tuple):
        wanted = members if Ellipsis not in members else (members[0],) * len(value)
        items = tuple(map(_converted, value, wanted)) if len(value) == len(wanted) else (None,)
        return None if None in items else items
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return value if isinstance(kind, type) and type(value) is kind else None


def _spoken(kind: Any) -> str:
    """A type in words for an error message."""
    origin, members = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(str, members))
    if origin in (Union, UnionType):
        return " or ".join(map(_spoken, members))
    if origin is tuple:
        return f"a list of {'' if Ellipsis in members else f'{len(members)} '}{_PLURALS[members[0]]}"
    return _NAMES[kind]


_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
_PLURALS = {float: "numbers", str: "texts"}

_AT_LEAST: dict[str, float] = {
    **dict.fromkeys(("batch_size", "micro_batch_size", "max_steps", "chunk_tokens", "lora_rank", "lora_alpha"), 1),
    **dict.fromkeys(("learning_rate", "min_learning_rate", "muon_learning_rate", "weight_decay", "save_steps"), 0),
    "keep_checkpoints": 1,
    "max_length": 2,  # a row's first token is never predicted
}
_ABOVE_ZERO = ("epochs", "max_grad_norm")
_SHARES = ("warmup", "lora_dropout")


def _problems(config: SftConfig) -> Iterator[tuple[str, str]]:
    """Fields whose value is of the right type and can't be right."""
    for name, least in _AT_LEAST.items():
        value = getattr(config, name)
        if value is not None and not value >= least:
            yield name, f"it must be at least {least}"
    for name in _ABOVE_ZERO:
        if not getattr(config, name) > 0:
            yield name, "it must be above 0"
    for name, share in [*((name, getattr(config, name)) for name in _SHARES), *(("betas", b) for b in config.betas)]:
        if not 0 <= share < 1:
            yield name, "it must be at least 0 and below 1"
