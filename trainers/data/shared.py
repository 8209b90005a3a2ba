"""Pairs of answers whose prompt stands before both of them, once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trainers.data.rows import Tokens, first_targets, runs
from trainers.errors import HandoffError


def share_prompts(tokens: Tokens) -> Tokens:
    """The rows of pairs, without the prompt of each second row, which goes on from the prompt of the row before.

    Raises:
        HandoffError: the two prompts of a pair are not the same tokens.
    """
    prompts, begins = first_targets(tokens.mask, tokens.offsets), tokens.offsets[:-1]
    first, second = begins[0::2], begins[1::2]
    same = prompts[0::2] == prompts[1::2]
    alike = np.where(same, prompts[0::2], 0)
    equal = tokens.ids[runs(first, alike)] == tokens.ids[runs(second, alike)]
    same &= np.bincount(np.repeat(np.arange(len(same)), alike), ~equal, minlength=len(same)) == 0
    if not same.all():
        raise HandoffError(
            f"the template renders {(~same).sum()} prompts otherwise before one answer than before the other "
            f"({tokens.row_ids[2 * int(np.argmin(same))]}, ...): set share_prompt: false"
        )
    forks = np.zeros(len(begins), np.int64)
    forks[1::2] = prompts[1::2]
    lengths = np.diff(tokens.offsets) - forks
    places = runs(begins + forks, lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return replace(tokens, ids=tokens.ids[places], mask=tokens.mask[places], offsets=offsets, forks=forks)
