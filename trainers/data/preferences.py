"""Rows of preferences: a prompt with a better and a worse answer, or (KTO) with one that is good or bad."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainers.config import DpoConfig
from trainers.data.items import Item, ItemReader
from trainers.data.shorter import Turns
from trainers.data.template import RowError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BAD_PAIRS = {"same_answers", "empty_answer"}
"""What `bad_pairs: drop` has asked for, and so does not end a run."""


def answers_of(config: DpoConfig) -> tuple[str, ...]:
    """The columns that hold answers: how many rows of tokens an item has."""
    return ("completion",) if config.loss == "kto" else ("chosen", "rejected")


class Preferences(ItemReader):
    """A reader of such rows; of a pair, the chosen answer comes before the rejected one."""

    same = "chosen and rejected are the same"

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: DpoConfig) -> None:
        self._answers, self._labelled = answers_of(config), config.loss == "kto"
        bad = BAD_PAIRS if config.bad_pairs == "drop" else set()
        super().__init__(tokenizer, config, ("label", "prompt", *self._answers), bad)

    def item(self, label: bool | None, prompt: Turns | None, *answers: Turns | None) -> Item:
        """See `ItemReader`."""
        if self._labelled and label is None:
            raise RowError("no_label", "label is null")
        given = tuple(answer for answer in answers if answer is not None and not isinstance(answer, str))
        if not prompt or isinstance(prompt, str) or len(given) < len(answers):
            names = ", ".join(("prompt", *self._answers))
            raise RowError("no_messages", f"one of {names} is null or not a list of messages, or the prompt is empty")
        for name, answer in zip(self._answers, given, strict=True):
            if not any((turn.get("content") or "").strip() or turn.get("tool_calls") for turn in answer):
                raise RowError("empty_answer", f"{name} says nothing")
        return prompt, given
