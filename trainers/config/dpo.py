"""What preference optimisation lets say of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from trainers.config.run import RunConfig

Loss = Literal["sigmoid", "cdpo", "robust", "hinge", "ipo", "sigmoid_norm", "simpo", "orpo", "kto"]

WITHOUT_REFERENCE = ("simpo", "orpo")
OF_LOSS: dict[str, tuple[Loss, ...]] = {
    "beta": ("sigmoid", "cdpo", "robust", "hinge", "ipo", "sigmoid_norm", "simpo", "kto"),
    "label_smoothing": ("cdpo", "robust"),
    "gamma": ("simpo",),
    "lambda_or": ("orpo",),
    "desirable_weight": ("kto",),
    "undesirable_weight": ("kto",),
}
"""Parameters that only some losses have, and these losses."""


@dataclass(frozen=True, kw_only=True)
class DpoConfig(RunConfig):
    """How to train on pairs of answers, or (kto) on answers that are good or bad."""

    trainer: ClassVar[str] = "dpo"

    learning_rate: float = 1e-6
    warmup: float = 0.1
    loss: Loss = "sigmoid"
    """See `trainers.losses.preference`."""
    beta: float = 0.1
    label_smoothing: float = 0.0
    """How often labels are taken to be wrong."""
    gamma: float = 0.5
    """The margin of simpo."""
    lambda_or: float = 0.1
    """What the odds ratio counts in orpo."""
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0
    sft_weight: float = 0.0
    """What the NLL per token of the chosen answer counts beside the loss."""
    reference: Literal["precomputed", "live", "none"] = "live"
    """Its log-probabilities come from columns of the data, or from the policy before its first step."""
    over_long: Literal["error", "drop", "truncate_prompt"] = "error"
    """What to do with rows of more than `max_length` tokens; an answer is never cut."""
    bad_pairs: Literal["error", "drop"] = "error"
    """What to do with pairs of equal answers, and with empty answers."""
    share_prompt: bool = False
    """One run of the prompt for both answers."""

    @property
    def branching(self) -> bool:
        """See `RunConfig`."""
        return self.share_prompt

    def problems(self) -> Iterator[tuple[str, str]]:
        """See `RunConfig`; and what means nothing beside the loss."""
        yield from super().problems()
        for name in ("gamma", "lambda_or", "desirable_weight", "undesirable_weight", "sft_weight"):
            if not getattr(self, name) >= 0:
                yield name, "it must be at least 0"
        if not self.beta > 0:
            yield "beta", "it must be above 0"
        if not 0 <= self.label_smoothing < 0.5:
            yield "label_smoothing", "it must be at least 0 and below 0.5"
        defaults = {field.name: field.default for field in fields(self)}
        for name, losses in OF_LOSS.items():
            if getattr(self, name) != defaults[name] and self.loss not in losses:
                yield name, f"loss {self.loss} has no use for it, only {', '.join(losses)}"
        yield from self._contradictions()

    def _contradictions(self) -> Iterator[tuple[str, str]]:
        if (self.reference == "none") != (self.loss in WITHOUT_REFERENCE):
            fitting = "none" if self.loss in WITHOUT_REFERENCE else "live or precomputed"
            yield "reference", f"with loss {self.loss} it must be {fitting}"
        if self.reference == "precomputed" and self.over_long == "truncate_prompt":
            yield "over_long", "the columns of a precomputed reference are those of whole prompts"
        if self.loss in OF_LOSS["label_smoothing"] and not self.label_smoothing:
            yield "label_smoothing", f"without it {self.loss} is sigmoid"
        if self.loss == "kto":
            for name in ("sft_weight", "share_prompt"):
                if getattr(self, name):
                    yield name, "it is of pairs, and kto has none"
