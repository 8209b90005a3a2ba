"""The calls that a training's rewards take at most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from engine.model import Backend
from engine.plan.estimate.asks import bounds_of, recorded
from engine.plan.estimate.usage import Usage
from engine.plan.spans import UNKNOWN, Span
from engine.plan.steps import Step


def rewards_usage(step: Step, backends: Mapping[str, Backend], prompts: Span) -> Usage:
    """What judging an answer to each prompt in each epoch takes; answers that are alike are judged once."""
    most = None if prompts.high is None else _answers(step.params, int(prompts.high))
    asking = [reward for reward in step.rewards if reward.operator is not None and recorded(reward, backends)]
    usage = Usage()
    for reward in asking:
        usage += bounds_of(reward, backends, UNKNOWN) * Span(0, most)
    return usage


def _answers(params: Any, prompts: int) -> int:
    """The answers that a trainer draws at most; a last step of an epoch may have fewer than `batch_size`."""
    answers = math.ceil(params.epochs * prompts)
    return answers if params.max_steps is None else int(min(answers, params.max_steps * params.batch_size))
