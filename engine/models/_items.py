"""What the torch backends run: calls as token ids; those of one class and width share a batch. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GRAIN = 8
"""Rows are padded to multiples of so many tokens: why, says `_forward`."""

REPLY_GRAIN = 32
"""The same for prompts of replies: fewer widths make larger batches, and a prompt is read but once."""


def even(n: int, grain: int = GRAIN) -> int:
    """The next multiple of `grain`."""
    return -(-n // grain) * grain


@dataclass(frozen=True)
class Item:
    """A call as its token ids."""

    ids: list[int]

    @property
    def size(self) -> int:
        """The tokens that it holds in memory when it is done."""
        return len(self.ids)

    @property
    def width(self) -> int:
        """The tokens that it is padded to, which depend on nothing but itself; calls of one width share a batch."""
        return even(len(self.ids))


@dataclass(frozen=True)
class Draft(Item):
    """A prompt to be continued, and how to draw the rest."""

    max_new: int
    temperature: float
    top_p: float
    stop: tuple[str, ...]
    draw: int
    ends: frozenset[int] = frozenset()  # the special tokens among the stop texts, which no decoded text shows

    @property
    def size(self) -> int:
        """Prompt and reply."""
        return self.width + self.max_new

    @property
    def width(self) -> int:
        """Of the prompt."""
        return even(len(self.ids), REPLY_GRAIN)


@dataclass(frozen=True)
class Scored(Item):
    """A text whose last `n` tokens are to be scored."""

    n: int

    @property
    def width(self) -> int:
        """Without the last token, which is predicted and never read."""
        return even(len(self.ids) - 1)


@dataclass(frozen=True)
class Choice(Item):
    """A prompt and the candidates for its next token."""

    candidates: Mapping[str, int]


@dataclass(frozen=True)
class Passage(Item):
    """A text to be embedded; `cut` when it is only the beginning of what was asked."""

    cut: bool


@dataclass(frozen=True)
class Conversation(Item):
    """A conversation to be judged by a reward model."""
