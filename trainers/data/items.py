"""Rows of the data that hold answers to one prompt, an item: each answer becomes a row of tokens of its own.

Such a row is the prompt by the chat template, and the answer with its end of turn, which alone is scored. What the
answers are, and how they are related, is known to `preferences` and `rankings`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainers.config import DpoConfig, RankConfig
from trainers.data.encoder import SEAM, Encoded, Encoder, Flags, Integers, Texts, column
from trainers.data.rows import TokenReport, Tokens
from trainers.data.shorter import Turns, shorter
from trainers.data.template import Rendered, Renderer, RowError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

ASKED_FOR = {"error": set[str](), "drop": {"over_long"}, "truncate_prompt": {"cut_prompt", "long_answer"}}
"""What each setting of `over_long` has asked for, and so does not end a run."""

Item = tuple[Turns, tuple[Turns, ...]]
"""A prompt, and the answers to it."""


@dataclass
class Items(Texts):
    """Texts with what they were made from, so that a prompt can be shortened."""

    talks: list[Item] = field(default_factory=list)

    def put(self, row_id: str, item: Item, rows: list[Rendered]) -> None:
        """Append an item."""
        self.talks.append(item)
        for row in rows:
            self.add(row_id, row)

    @property
    def sizes(self) -> Integers:
        """Answers of each item, `[items]`."""
        return np.fromiter((len(answers) for _, answers in self.talks), np.int64, len(self.talks))


def item_sizes(tokens: Tokens) -> Integers:
    """How many rows of tokens each row of the data has become, `[items]`: they follow each other under its id."""
    ends = pc.run_end_encode(tokens.row_ids.combine_chunks()).run_ends.to_numpy()
    return np.asarray(np.diff(ends, prepend=0), np.int64)


class ItemReader(ABC):
    """A reader of such rows, see `tokens.Reader`."""

    same: str
    """What is wrong with an item two of whose answers are the same."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, config: DpoConfig | RankConfig, columns: Sequence[str],
        asked_for: set[str],
    ) -> None:  # fmt: skip
        """`columns` are read, besides row_id; `asked_for`: troubles that end no run, besides those of `over_long`."""
        self._columns, self._most = ("row_id", *columns), config.max_length
        self._truncates = config.over_long == "truncate_prompt"
        self._renderer = Renderer(tokenizer, "assistant")
        self._encoder = Encoder(tokenizer)
        self.encode = self._encoder.encode
        self.report = TokenReport(self._renderer.masking, ASKED_FOR[config.over_long] | asked_for)

    @abstractmethod
    def item(self, *values: Any) -> Item:
        """The item of a row, from its `columns`; raises RowError where it is none."""

    def rendered(self, batch: pa.RecordBatch) -> Items:
        """See `Reader`."""
        self.report.rows += batch.num_rows
        items = Items()
        for row_id, *values in zip(*(column(batch, name) for name in self._columns), strict=True):
            try:
                item = self.item(*values)
                items.put(row_id, item, self._texts(*item))
            except RowError as error:
                self.report.add(error.code, row_id, str(error))
        return items

    def tokens(self, texts: Texts, encodings: list[Encoding]) -> Tokens:
        """See `Reader`."""
        assert isinstance(texts, Items)
        encoded, sizes = self._encoder.masked(texts, encodings), texts.sizes
        firsts = np.cumsum(sizes) - sizes
        row_ids, most = [texts.row_ids[row] for row in firsts], self._most
        starts, lengths = encoded.offsets[:-1], np.diff(encoded.offsets)
        kept = self._sound(row_ids, encoded, firsts)
        lost = over = kept & (np.maximum.reduceat(lengths, firsts) > most)
        self.report.over_long += int(over.sum())
        if self._truncates:
            encoded, starts, lengths, lost = self._cut(texts, encoded, over, row_ids, firsts)
        else:
            self.report.add_all("over_long", row_ids, over, f"it has more than {most} tokens (max_length)")
        kept &= ~lost
        self.report.kept += int(kept.sum())
        rows = np.repeat(kept, sizes)
        return encoded.take(starts[rows], lengths[rows], [texts.row_ids[row] for row in np.flatnonzero(rows)])

    def _texts(self, prompt: Turns, answers: Sequence[Turns]) -> list[Rendered]:
        """The texts of an item, one for each answer; its targets are the answer's turns alone."""
        earlier = len(self._renderer.render(prompt).spans) if any(t["role"] == "assistant" for t in prompt) else 0
        whole = [self._renderer.render([*prompt, *answer]) for answer in answers]
        rows = [Rendered(row.text, row.spans[earlier:]) for row in whole]
        if len({row.text for row in rows}) < len(rows):
            raise RowError("same_answers", self.same)
        return rows

    def _sound(self, row_ids: list[str], encoded: Encoded, firsts: Integers) -> Flags:
        """Items whose answers follow their prompts as they would in use, and are scored, `[items]`."""
        clean, scored = (np.logical_and.reduceat(flags, firsts) for flags in (encoded.clean, encoded.targets() > 0))
        self.report.add_all("seam", row_ids, ~clean, SEAM)
        self.report.add_all("fully_masked", row_ids, clean & ~scored, "no token of an answer is a loss target")
        sound: Flags = clean & scored
        return sound

    def _cut(
        self, items: Items, encoded: Encoded, over: Flags, row_ids: list[str], firsts: Integers
    ) -> tuple[Encoded, Integers, Integers, Flags]:
        """Shorten the prompts of items that are too long: by turns, or else by tokens from the left.

        Returns:
            Where each row now begins and how long it is, `[rows]`, in these tokens, and the items that can't be kept.
        """
        most, before, lengths = self._most, encoded.firsts(), np.diff(encoded.offsets)
        room = most - np.maximum.reduceat(lengths - before, firsts)
        lost, cut = over & (room < 1), over & (room > 0)
        self.report.add_all("long_answer", row_ids, lost, f"its answer leaves no room in {most} tokens (max_length)")
        self.report.add_all("cut_prompt", row_ids, cut, f"its prompt is cut to fit in {most} tokens (max_length)")
        self.report.cut += int(cut.sum())
        room, of_cut = (np.repeat(values, items.sizes) for values in (room, cut))
        left_out = np.where(of_cut, np.maximum(before - room, 0), 0)
        starts, lengths = encoded.offsets[:-1] + left_out, lengths - left_out
        redone, again = self._shortened(items, np.flatnonzero(cut), firsts)
        both = encoded.followed_by(self._encoder.masked(again, self.encode(again.texts)))
        starts[redone], lengths[redone] = both.offsets[len(starts) : -1], np.diff(both.offsets)[len(starts) :]
        return both, starts, lengths, lost

    def _shortened(self, items: Items, cut: Integers, firsts: Integers) -> tuple[list[int], Texts]:
        """Rows of those items that fit with fewer turns, and their texts with them."""
        rows: list[int] = []
        texts = Texts()
        for item in cut.tolist():
            prompt, answers = items.talks[item]
            found = shorter(prompt, partial(self._texts, answers=answers), self._fits)
            for row, text in enumerate(found or (), int(firsts[item])):
                rows.append(row)
                texts.add(items.row_ids[row], text)
        return rows, texts

    def _fits(self, rows: list[Rendered]) -> bool:
        return all(len(encoding) <= self._most for encoding in self.encode([row.text for row in rows]))
