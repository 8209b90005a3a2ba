"""What every trainer lets say of a run: its length, its optimiser, its batches, its arithmetic, its adapters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from trainers.errors import HandoffError


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """How to train, whatever the objective; every field may be left out of `params`."""

    trainer: ClassVar[str] = ""
    """What specs call it."""

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
    """Packs (without packing: items) of an optimiser step, over all processes."""
    micro_batch_size: int | None = None
    """Packs of a forward pass in one process; None: by their tokens."""
    max_length: int = 2048
    packing: bool = True
    chunk_tokens: int | None = None
    """Tokens whose logits are in memory at once; None: Liger's rule."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of forward and backward passes; auto: bfloat16 on a GPU that has it, float32 elsewhere."""
    lora_rank: int | None = None
    lora_alpha: int = 16
    lora_dropout: float = 0.0
    lora_targets: tuple[str, ...] | None = None
    """Names of the layers that get an adapter; None: every linear layer but the head."""
    quantization: Literal["4bit", "8bit"] | None = None
    """The frozen base below the adapters in 4 or 8 bits, by bitsandbytes; None: as `dtype` says."""
    sharding: Literal["none", "full"] = "none"
    """full: every process holds its share of weights, gradients and optimiser states (`model.sharding`)."""
    gradient_checkpointing: bool = False
    chat_template: str | None = None
    """Jinja instead of the base's own template; `plain`: contents one after the other, EOS at the end."""
    init: Literal["pretrained", "random"] = "pretrained"
    """random: the base gives configuration and tokenizer, and the seed the weights."""
    save_steps: int = 0
    """A checkpoint every so many steps; 0: only when the run is told to stop."""
    keep_checkpoints: int = 2
    report_to: Literal["none", "tensorboard", "wandb"] = "none"
    """A tracker that follows the run, besides the log and the metrics that every run leaves."""

    @property
    def branching(self) -> bool:
        """Rows have prompts in common, which takes an attention of its own."""
        return False

    def __post_init__(self) -> None:
        for name, problem in self.problems():
            raise HandoffError(f"params.{name} is {getattr(self, name)!r}: {problem}")

    def problems(self) -> Iterator[tuple[str, str]]:
        """Fields whose value is of the right type and can't be right, each with the reason."""
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                yield name, f"it must be at least {least}"
        if self.quantization is not None and self.lora_rank is None:
            yield "quantization", "a quantised base can't be trained: give lora_rank"
        if self.sharding == "full" and (self.optimizer == "muon" or self.quantization is not None):
            yield "sharding", "neither muon nor a quantised base can be sharded: use adamw, and lora_rank alone"
        for name in _ABOVE_ZERO:
            if not getattr(self, name) > 0:
                yield name, "it must be above 0"
        for name, share in [*((name, getattr(self, name)) for name in _SHARES), *(("betas", b) for b in self.betas)]:
            if not 0 <= share < 1:
                yield name, "it must be at least 0 and below 1"


_AT_LEAST: dict[str, float] = {
    **dict.fromkeys(("batch_size", "micro_batch_size", "max_steps", "chunk_tokens", "lora_rank", "lora_alpha"), 1),
    **dict.fromkeys(("learning_rate", "min_learning_rate", "muon_learning_rate", "weight_decay", "save_steps"), 0),
    "keep_checkpoints": 1,
    "max_length": 2,  # a row's first token is never predicted
}
_ABOVE_ZERO = ("epochs", "max_grad_norm")
_SHARES = ("warmup", "lora_dropout")
