"""How long an answer is, as a reward: trivially earned, so to be read beside one for quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from trainers.rewards.reward import Answers, Floats, require


@dataclass(frozen=True)
class Length:
    """`clip(l / scale, low, high)` for responses of length l."""

    name: str
    scale: float
    low: float
    high: float
    unit: str = "tokens"

    UNITS: ClassVar = ("tokens", "characters", "words")

    def __post_init__(self) -> None:
        require(self.unit in self.UNITS, f"unit is {self.unit!r}: it must be {' or '.join(self.UNITS)}")
        require(self.scale > 0, f"scale is {self.scale!r}: it must be above 0")
        require(self.low < self.high, f"low is {self.low!r}: it must be below high, {self.high!r}")

    @property
    def names(self) -> tuple[str, ...]:
        """See `Reward`."""
        return (self.name,)

    def __call__(self, answers: Answers) -> Floats:
        """See `Reward`."""
        if self.unit == "tokens":
            lengths = answers.tokens
        else:
            measure = len if self.unit == "characters" else lambda text: len(text.split())
            lengths = np.fromiter(map(measure, answers.responses), np.int64, len(answers.responses))
        return np.clip(lengths / self.scale, self.low, self.high)[:, None]

    def close(self) -> None:
        """See `Reward`."""
