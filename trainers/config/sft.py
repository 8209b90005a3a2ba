"""What supervised fine-tuning lets say of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from trainers.config.run import RunConfig


@dataclass(frozen=True, kw_only=True)
class SftConfig(RunConfig):
    """How to train on conversations, or on prompts and completions."""

    trainer: ClassVar[str] = "sft"

    format: Literal["conversation", "completion", "both"] = "conversation"
    """`messages` through the chat template, `prompt` and `completion` as they stand with EOS, or either, row by row."""
    train_on: Literal["assistant", "all"] = "assistant"
    """Loss on the assistant's turns (or the completion), or on every token of the row."""
    over_long: Literal["error", "drop", "truncate"] = "error"
    loss: Literal["token_mean", "sum", "per_sequence_mean", "long_ce_ema"] = "token_mean"
    """What is averaged over a step; `long_ce_ema`: ms-swift's running mean (`losses.reductions.RunningMean`)."""
    neftune_alpha: float = 0.0
    """Noise on the embeddings (`model.noise`); 0: none."""

    def problems(self) -> Iterator[tuple[str, str]]:
        """See `RunConfig`."""
        yield from super().problems()
        if not self.neftune_alpha >= 0:
            yield "neftune_alpha", "it must be at least 0"
