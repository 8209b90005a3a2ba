"""A mark that is expected of a model: the mean over the tokens of all marks, from one look at the next token."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.model import Model


async def expected_mark(model: Model, points: Sequence[str], asked: str) -> float | None:
    """The expectation of the marks 1, 2, ..., whose tokens are `points`, as the reply to a user's turn `asked`.

    None where the model does not show the log-probability of one of them.
    """
    shown = await model.next_token_logprobs(points, messages=[{"role": "user", "content": asked}])
    logprobs = [shown[point] for point in points]
    return None if -math.inf in logprobs else expectation(logprobs)


def expectation(logprobs: Sequence[float]) -> float:
    """The sum of k * p_k with p the softmax of logits or log-probabilities (deita, `Scorer.infer_score`)."""
    top = max(logprobs)
    weights = [math.exp(p - top) for p in logprobs]
    return math.fsum(k * w for k, w in enumerate(weights, 1)) / math.fsum(weights)
