"""What list-wise training lets say of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from trainers.config.run import RunConfig


@dataclass(frozen=True, kw_only=True)
class RankConfig(RunConfig):
    """How to train on the order of several answers to one prompt."""

    trainer: ClassVar[str] = "rank"

    loss: Literal["rrhf", "pro"] = "rrhf"
    """See `trainers.losses.ranking`."""
    rank_weight: float = 1.0
    """What the ranking counts in the loss."""
    sft_weight: float = 1.0
    """What the NLL per token of the best answer counts beside it."""
    length_exponent: float = 1.0
    """A score is the log-probability over this power of the number of tokens; 1: the mean."""
    reward_gaps: bool = False
    """PRO's scores are scaled by the gaps between the answers' `rewards`."""
    over_long: Literal["error", "drop", "truncate_prompt"] = "error"
    """What to do with rows of which an answer has more than `max_length` tokens; an answer is never cut."""
    bad_rows: Literal["error", "drop"] = "error"
    """What to do with rankings and rewards that say nothing, and with equal and empty answers."""

    def problems(self) -> Iterator[tuple[str, str]]:
        """See `RunConfig`; and what means nothing beside the loss."""
        yield from super().problems()
        for name in ("rank_weight", "sft_weight", "length_exponent"):
            if not getattr(self, name) >= 0:
                yield name, "it must be at least 0"
        if self.rank_weight == self.sft_weight == 0:
            yield "rank_weight", "with sft_weight 0 there is nothing to train"
        if self.reward_gaps and self.loss != "pro":
            yield "reward_gaps", f"loss {self.loss} has no use for it, only pro"
