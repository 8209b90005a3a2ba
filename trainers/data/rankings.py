"""Rows of rankings: a prompt with several answers, and the indices of some or all of them, the best one first.

Answers that the ranking leaves out are not trained on. A prompt that is a text is one turn of the user.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trainers.config import RankConfig
from trainers.data.folder import Handoff, record_batches
from trainers.data.items import Item, ItemReader
from trainers.data.rows import Tokens
from trainers.data.shorter import Turns
from trainers.data.template import RowError
from trainers.errors import HandoffError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BAD_ROWS = {"bad_ranking", "bad_rewards", "same_answers", "empty_answer"}
"""What `bad_rows: drop` has asked for, and so does not end a run."""


class Rankings(ItemReader):
    """A reader of such rows; the answers of an item come in the order of its ranking."""

    same = "two of the ranked answers are the same"

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: RankConfig) -> None:
        self._gaps = config.reward_gaps
        bad = BAD_ROWS if config.bad_rows == "drop" else set()
        super().__init__(tokenizer, config, ("prompt", "responses", "train_ranking", "rewards"), bad)

    def item(
        self, prompt: Turns | str | None, responses: Sequence[str | None] | None, ranking: Sequence[int | None] | None,
        rewards: Sequence[float | None] | None,
    ) -> Item:  # fmt: skip
        """See `ItemReader`."""
        if not prompt or responses is None:
            raise RowError("no_messages", "prompt or responses is null, or the prompt is empty")
        order = _checked(ranking, len(responses))
        for place in order:
            if not (responses[place] or "").strip():
                raise RowError("empty_answer", f"responses[{place}] says nothing")
        if self._gaps:
            _check_rewards(rewards, order, len(responses))
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return turns, tuple([{"role": "assistant", "content": responses[place]}] for place in order)


def rewards_of(handoff: Handoff, tokens: Tokens) -> npt.NDArray[np.float64]:
    """The reward of the answer of each row, `[rows]`, as the column `rewards` gives it.

    Raises:
        HandoffError: there is no such column.
    """
    if "rewards" not in handoff.columns:
        raise HandoffError(f"{handoff.path} has no column rewards: add it, or set reward_gaps: false")
    names = ["row_id", "train_ranking", "rewards"]
    table = pa.Table.from_batches([batch.select(names) for batch in record_batches(handoff)]).combine_chunks()
    found = table.take(pc.index_in(tokens.row_ids.combine_chunks().unique(), table["row_id"].combine_chunks()))
    rewards = found["rewards"].combine_chunks()
    begins = np.cumsum(lengths := _lengths(rewards)) - lengths
    ranking = found["train_ranking"].combine_chunks()
    places = np.repeat(begins, _lengths(ranking)) + ranking.flatten().to_numpy()
    return np.asarray(rewards.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)[places], np.float64)


def _lengths(lists: pa.ListArray) -> npt.NDArray[np.int64]:
    return np.asarray(pc.list_value_length(lists).to_numpy(), np.int64)


def _checked(ranking: Sequence[int | None] | None, count: int) -> list[int]:
    """A ranking of at least two of `count` answers; raises RowError where it is none."""
    order = [place for place in ranking or () if place is not None]
    if len(order) < 2 or len(order) < len(ranking or ()):
        raise RowError("bad_ranking", "train_ranking is null, or has a null or fewer than two answers in it")
    absent = [place for place in order if not 0 <= place < count]
    if absent:
        raise RowError("bad_ranking", f"train_ranking has {absent[0]}, and there are {count} responses, from 0")
    if len(set(order)) < len(order):
        twice = next(place for place in order if order.count(place) > 1)
        raise RowError("bad_ranking", f"train_ranking has {twice} more than once")
    return order


def _check_rewards(rewards: Sequence[float | None] | None, order: Sequence[int], count: int) -> None:
    """Raise RowError unless every ranked answer has a reward, and none a higher one than a better answer."""
    if rewards is None or len(rewards) != count:
        raise RowError("bad_rewards", f"rewards is null, or has not one for each of {count} responses")
    ranked = [math.nan if (reward := rewards[place]) is None else float(reward) for place in order]
    if not all(map(math.isfinite, ranked)):
        raise RowError("bad_rewards", "the reward of a ranked answer is no number")
    if any(worse > better for better, worse in pairwise(ranked)):
        raise RowError("bad_rewards", "rewards rise along train_ranking, which begins with the best answer")
