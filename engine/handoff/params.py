"""A trainer's parameters as it reads them from `handoff.json`: those that the spec leaves out, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from engine.operator import Params
from engine.operators.trainers._rewards import SERVED, ModelReward, reward_names
from engine.plan.rewards import classifiers

Serve = Callable[[Sequence[str]], dict[str, Any]]
"""What a trainer is told of rewards that a build gives it as it runs, from their names."""


def handed_over(params: Params, folder: Path, serve: Serve | None = None) -> dict[str, Any]:
    """Every parameter by its name.

    Args:
        params: the trainer's.
        folder: the spec's, where relative paths of classifiers begin.
        serve: not given for a hand-off, which trains elsewhere: the spec's loader has refused such rewards there.

    Raises:
        SetwrightError: a classifier that gives a reward can't be found, or fetched.
    """
    values = {name: getattr(params, name) for name in type(params).model_fields}
    if "rewards" in values:
        values["rewards"] = list(_rewards(params, values["rewards"], folder, serve))
    return values


def _rewards(params: Params, rewards: Sequence[Params], folder: Path, serve: Serve | None) -> Iterator[dict[str, Any]]:
    """Each reward in its place; of those that a build gives, neighbours come by one command."""
    places = {reward.name: place for reward, place in classifiers(params, folder)}
    for given, group in groupby(rewards, lambda reward: isinstance(reward, SERVED)):
        if given:
            assert serve is not None
            yield serve(reward_names(group))
            continue
        for reward in group:
            found = dict(reward)
            if isinstance(reward, ModelReward):
                found["model"], found["revision"] = places[reward.name].place()
            yield found
