"""Prompts with the answers to other prompts, by which KTO measures how far the policy has moved as a whole."""

from __future__ import annotations

import numpy as np

from trainers.data.rows import Tokens, first_targets, runs
from trainers.errors import HandoffError


def mismatched(tokens: Tokens, seed: int, most: int) -> Tokens:
    """The prompt of each row with the answer of another, which is cut where the row would have over `most` tokens.

    Answers move on by one row in an order that the seed shuffles: neighbours in the data may be of one prompt.

    Raises:
        HandoffError: there is one row alone.
    """
    count = len(tokens.offsets) - 1
    if count < 2:
        raise HandoffError("loss: kto compares answers with those to other prompts, and there is one row alone")
    order = np.random.default_rng([seed, 2]).permutation(count)
    of = np.empty(count, np.int64)
    of[order] = np.roll(order, 1)
    begins, prompt = tokens.offsets[:-1], first_targets(tokens.mask, tokens.offsets)
    answer = np.minimum((np.diff(tokens.offsets) - prompt)[of], most - prompt)
    starts = np.stack([begins, (begins + prompt)[of]], axis=1).reshape(-1)
    places = runs(starts, np.stack([prompt, answer], axis=1).reshape(-1))
    offsets = np.concatenate([[0], np.cumsum(prompt + answer)]).astype(np.int64)
    return Tokens(tokens.ids[places], tokens.mask[places], offsets, tokens.row_ids)
