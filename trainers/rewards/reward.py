"""What a reward is: a number, or several by name, for each answer. An answer without a number has NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from trainers.data.prompts import Prompt

Floats = npt.NDArray[np.float64]


class RewardError(Exception):
    """A reward that can't go on giving numbers; the message says which, and why."""


@dataclass(frozen=True)
class Answers:
    """Answers to score, `[B]`."""

    ids: Sequence[str]
    """Of their rows; the same row may come again in a later step."""
    prompts: Sequence[Prompt]
    responses: Sequence[str]
    tokens: npt.NDArray[np.int64]
    """How many tokens of the policy each response has, its end included."""


class Reward(Protocol):
    """One or more numbers for each answer."""

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called in logs and metrics, `[m]`."""

    def __call__(self, answers: Answers) -> Floats:
        """`[B, m]`, NaN where there is no number."""

    def close(self) -> None:
        """Let go of processes and memory."""


def require(holds: bool, problem: str) -> None:
    """Raises: ValueError: something that was said of a reward can't be."""
    if not holds:
        raise ValueError(problem)
