"""Rows of preferences: a prompt with a better and a worse answer, or (KTO) with one that is good or bad.

Each answer becomes a row of tokens of its own, the chosen one before the rejected one: the prompt by the chat template,
and the answer with its end of turn, which alone is scored. An item is what belongs to one row of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from trainers.config import DpoConfig
from trainers.data.encoder import SEAM, Encoded, Encoder, Flags, Integers, Texts, column
from trainers.data.rows import TokenReport, Tokens
from trainers.data.shorter import Turns, shorter
from trainers.data.template import Rendered, Renderer, RowError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

ASKED_FOR = {"error": set[str](), "drop": {"over_long"}, "truncate_prompt": {"cut_prompt", "long_answer"}}
BAD_PAIRS = {"same_answers", "empty_answer"}
"""What `over_long`, and `bad_pairs: drop`, have asked for, and so does not end a run."""


def answers_of(config: DpoConfig) -> tuple[str, ...]:
    """The columns that hold answers: how many rows of tokens an item has."""
    return ("completion",) if config.loss == "kto" else ("chosen", "rejected")


@dataclass
class Items(Texts):
    """Texts with what they were made from, so that a prompt can be shortened."""

    talks: list[tuple[Turns, tuple[Turns, ...]]] = field(default_factory=list)
    """Prompt and answers of each item."""


class Preferences:
    """A reader of such rows, see `tokens.Reader`."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: DpoConfig) -> None:
        self._config, self._answers = config, answers_of(config)
        self._renderer = Renderer(tokenizer, "assistant")
        self._encoder = Encoder(tokenizer)
        self.encode = self._encoder.encode
        bad = BAD_PAIRS if config.bad_pairs == "drop" else set()
        self.report = TokenReport(self._renderer.masking, ASKED_FOR[config.over_long] | bad)

    def rendered(self, batch: pa.RecordBatch) -> Items:
        """See `Reader`."""
        self.report.rows += batch.num_rows
        kto = self._config.loss == "kto"
        labels = column(batch, "label") if kto else [True] * batch.num_rows
        columns = (column(batch, name) for name in ("row_id", "prompt", *self._answers))
        items = Items()
        for label, row_id, prompt, *answers in zip(labels, *columns, strict=True):
            try:
                if label is None:
                    raise RowError("no_label", "label is null")
                rows = self._item(prompt, answers)
            except RowError as error:
                self.report.add(error.code, row_id, str(error))
                continue
            items.talks.append((prompt, tuple(answers)))
            for row in rows:
                items.add(row_id, row)
        return items

    def tokens(self, texts: Texts, encodings: list[Encoding]) -> Tokens:
        """See `Reader`."""
        assert isinstance(texts, Items)
        encoded = self._encoder.masked(texts, encodings)
        items, most = texts.row_ids[:: len(self._answers)], self._config.max_length
        starts, lengths = encoded.offsets[:-1], np.diff(encoded.offsets)
        kept = self._sound(items, encoded)
        lost = over = kept & (self._by_item(lengths).max(axis=1, initial=0) > most)
        self.report.over_long += int(over.sum())
        if self._config.over_long == "truncate_prompt":
            encoded, starts, lengths, lost = self._cut(texts, encoded, over)
        else:
            self.report.add_all("over_long", items, over, f"it has more than {most} tokens (max_length)")
        kept &= ~lost
        self.report.kept += int(kept.sum())
        rows = np.repeat(kept, len(self._answers))
        return encoded.take(starts[rows], lengths[rows], [texts.row_ids[row] for row in np.flatnonzero(rows)])

    def _item(self, prompt: Turns, answers: Sequence[Turns]) -> list[Rendered]:
        """The texts of an item, one for each answer; its targets are the answer's turns alone."""
        if not prompt or any(answer is None or isinstance(answer, str) for answer in (prompt, *answers)):
            names = ", ".join(("prompt", *self._answers))
            raise RowError("no_messages", f"one of {names} is null or not a list of messages, or the prompt is empty")
        for name, answer in zip(self._answers, answers, strict=True):
            if not any((turn.get("content") or "").strip() or turn.get("tool_calls") for turn in answer):
                raise RowError("empty_answer", f"{name} says nothing")
        earlier = len(self._renderer.render(prompt).spans) if any(t["role"] == "assistant" for t in prompt) else 0
        whole = [self._renderer.render([*prompt, *answer]) for answer in answers]
        rows = [Rendered(row.text, row.spans[earlier:]) for row in whole]
        if len({row.text for row in rows}) < len(rows):
            raise RowError("same_answers", "chosen and rejected are the same")
        return rows

    def _sound(self, items: list[str], encoded: Encoded) -> Flags:
        """Items whose answers follow their prompts as they would in use, and are scored, `[items]`."""
        clean, scored = (self._by_item(flags).all(axis=1) for flags in (encoded.clean, encoded.targets() > 0))
        self.report.add_all("seam", items, ~clean, SEAM)
        self.report.add_all("fully_masked", items, clean & ~scored, "no token of an answer is a loss target")
        sound: Flags = clean & scored
        return sound

    def _cut(self, items: Items, encoded: Encoded, over: Flags) -> tuple[Encoded, Integers, Integers, Flags]:
        """Shorten the prompts of items that are too long: by turns, or else by tokens from the left.

        Returns:
            Where each row now begins and how long it is, `[rows]`, in these tokens, and the items that can't be kept.
        """
        most, before, lengths = self._config.max_length, encoded.firsts(), np.diff(encoded.offsets)
        room = most - self._by_item(lengths - before).max(axis=1, initial=0)
        lost, cut, row_ids = over & (room < 1), over & (room > 0), items.row_ids[:: len(self._answers)]
        self.report.add_all("long_answer", row_ids, lost, f"its answer leaves no room in {most} tokens (max_length)")
        self.report.add_all("cut_prompt", row_ids, cut, f"its prompt is cut to fit in {most} tokens (max_length)")
        self.report.cut += int(cut.sum())
        room, of_cut = (np.repeat(values, len(self._answers)) for values in (room, cut))
        left_out = np.where(of_cut, np.maximum(before - room, 0), 0)
        starts, lengths = encoded.offsets[:-1] + left_out, lengths - left_out
        redone, again = self._shortened(items, np.flatnonzero(cut))
        both = encoded.followed_by(self._encoder.masked(again, self.encode(again.texts)))
        starts[redone], lengths[redone] = both.offsets[len(starts) : -1], np.diff(both.offsets)[len(starts) :]
        return both, starts, lengths, lost

    def _shortened(self, items: Items, cut: Integers) -> tuple[list[int], Texts]:
        """Rows of those items that fit with fewer turns, and their texts with them."""
        rows: list[int] = []
        texts = Texts()
        for item in cut.tolist():
            prompt, answers = items.talks[item]
            found = shorter(prompt, partial(self._item, answers=answers), self._fits)
            for place, row in enumerate(found or ()):
                rows.append(item * len(self._answers) + place)
                texts.add(items.row_ids[rows[-1]], row)
        return rows, texts

    def _fits(self, rows: list[Rendered]) -> bool:
        return all(len(encoding) <= self._config.max_length for encoding in self.encode([row.text for row in rows]))

    def _by_item(self, of_rows: Any) -> Any:
        """`[rows]` as `[items, answers]`."""
        return of_rows.reshape(-1, len(self._answers))
