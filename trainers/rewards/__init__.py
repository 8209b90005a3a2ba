"""Rewards of answers: by a rule, a model, or a program of one's own; each is an object of `params.rewards`.

`{"use": "length", "name", "scale", "low", "high", "unit"}`, `{"use": "model", "name", "model", "index", "output", ...}`
and `{"use": "command", "names", "command", "timeout_s"}`; what more they take stands with their classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trainers.errors import HandoffError
from trainers.rewards.classifier import Classifier
from trainers.rewards.command import Command
from trainers.rewards.length import Length
from trainers.rewards.reward import Answers, Floats, Reward, RewardError

__all__ = ["Answers", "Reward", "RewardError", "Rewards"]

KINDS: dict[str, Callable[..., Reward]] = {"length": Length, "model": Classifier, "command": Command}


class Rewards:
    """All rewards of a training, as one table of numbers."""

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Raises: HandoffError: an object of `params.rewards` that isn't a reward; the message says which and why."""
        self._all = [_made(number, record) for number, record in enumerate(records)]
        self.names = tuple(name for reward in self._all for name in reward.names)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise HandoffError(f"params.rewards: more than one is called {', '.join(twice)}")

    def __call__(self, answers: Answers) -> Floats:
        """`[B, n]`, NaN where a reward has no number, or an infinite one."""
        found = np.concatenate([reward(answers) for reward in self._all], axis=1)
        return np.where(np.isfinite(found), found, np.nan)

    def close(self) -> None:
        """Let go of processes and memory."""
        for reward in self._all:
            reward.close()


def _made(number: int, record: Mapping[str, Any]) -> Reward:
    said = dict(record)
    use = said.pop("use", None)
    if use not in KINDS:
        raise HandoffError(f"params.rewards[{number}].use is {use!r}: it must be {' or '.join(KINDS)}")
    try:
        return KINDS[use](**said)
    except (TypeError, ValueError) as error:
        problem = str(error).replace(f"{KINDS[use].__name__}.__init__()", f"use: {use}")
        raise HandoffError(f"params.rewards[{number}]: {problem}") from None
