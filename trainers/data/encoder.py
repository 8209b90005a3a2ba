"""Texts to ids and masks: tokenised as a whole, and masked by the offsets of their tokens.

Only the lookup of a span's two ends goes row by row; all else is arithmetic on the batch's flat arrays. What the texts
are, and which rows are trained on, is known to `conversations` and `preferences`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainers.data.rows import Tokens, first_targets, runs
from trainers.data.template import Rendered, Span

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

SEAM = (
    "what stands before an answer has other ids with the answer after it than alone: "
    "a model that is asked would never see the ids it was trained on"
)


@dataclass
class Texts:
    """The rows of a batch that could be rendered, with the character spans of their loss targets."""

    row_ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    spans: list[tuple[Span, ...]] = field(default_factory=list)

    def add(self, row_id: str, row: Rendered) -> None:
        """Append a row."""
        self.row_ids.append(row_id)
        self.texts.append(row.text)
        self.spans.append(row.spans)


@dataclass(frozen=True)
class Encoded:
    """Rows in flat arrays; row i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: npt.NDArray[np.int32]
    """`[total]`."""
    mask: Flags
    """`[total]`: the token is a loss target."""
    offsets: Integers
    """`[rows + 1]`."""
    clean: Flags
    """`[rows]`: what stands before each answer has the same ids alone; see `SEAM`."""

    def targets(self, most: int | None = None) -> Integers:
        """Targets among the first `most` tokens of each row, `[rows]`; nothing predicts a row's first token."""
        owner = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        position = np.arange(len(self.mask)) - self.offsets[owner]
        counted = self.mask & (position > 0) & (position < (len(self.mask) + 1 if most is None else most))
        return np.bincount(owner[counted], minlength=len(self.offsets) - 1)

    def firsts(self) -> Integers:
        """See `rows.first_targets`."""
        return first_targets(self.mask, self.offsets)

    def followed_by(self, other: Encoded) -> Encoded:
        """These rows, and after them the others."""
        return Encoded(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.mask, other.mask]),
            np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]),
            np.concatenate([self.clean, other.clean]),
        )

    def take(self, starts: Integers, lengths: Integers, row_ids: list[str]) -> Tokens:
        """Rows that begin at `starts` and have `lengths`."""
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = runs(starts, lengths)
        names = pa.chunked_array([pa.array(row_ids, pa.string())])
        return Tokens(self.ids[places], self.mask[places], offsets, names)


class Encoder:
    """A tokenizer, for texts that hold all of their special tokens already: a chat template writes them itself."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._added = np.array(sorted(tokenizer.get_added_vocab().values()), np.int32)
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()

    def encode(self, texts: Iterable[str]) -> list[Encoding]:
        """The tokens of texts as they stand; may be called in any thread."""
        return self._backend.encode_batch(list(texts), add_special_tokens=False)

    def masked(self, texts: Texts, encodings: list[Encoding]) -> Encoded:
        """Ids and masks of texts that `encode` has tokenised."""
        lengths = np.fromiter(map(len, encodings), np.int64, len(encodings))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        ids = np.fromiter(chain.from_iterable(e.ids for e in encodings), np.int32, int(offsets[-1]))
        rows = np.repeat(np.arange(len(lengths)), [len(spans) for spans in texts.spans])
        spans = (
            np.array(
                [
                    (_token(encoding, start, len(text)), _token(encoding, end, len(text)))
                    for encoding, text, row in zip(encodings, texts.texts, texts.spans, strict=True)
                    for start, end in row
                ],
                np.int64,
            ).reshape(-1, 2)
            + offsets[rows, None]
        )
        step = np.zeros(len(ids) + 1, np.int32)
        np.add.at(step, spans[:, 0], 1)
        np.add.at(step, spans[:, 1], -1)
        mask = np.cumsum(step[:-1]) > 0
        return Encoded(ids, mask, offsets, self._clean(texts, encodings, ids, offsets, rows, spans[:, 0]))

    def _clean(
        self, texts: Texts, encodings: list[Encoding], ids: npt.NDArray[np.int32], offsets: Integers, rows: Integers,
        firsts: Integers,
    ) -> Flags:  # fmt: skip
        """Rows whose ids up to each answer are those of the text up to there: `ids(prefix) == ids(full)[:len]`.

        An added token cuts the text, whatever stands around it: the text since the last one decides, and it is the
        same for nearly all rows.
        """
        added = np.where(np.isin(ids, self._added), np.arange(len(ids)), -1)
        since = np.maximum(np.maximum.accumulate(added)[firsts - 1], offsets[rows]) if len(ids) else firsts
        seams: dict[tuple[str, bytes], list[int]] = {}
        starts = [start for row in texts.spans for start, _ in row]
        for row, start, begin, first in zip(rows.tolist(), starts, since.tolist(), firsts.tolist(), strict=True):
            if start:
                token = begin - int(offsets[row])
                chars = encodings[row].token_to_chars(token) if token else None
                before = texts.texts[row][chars[0] if chars else 0 : start]
                seams.setdefault((before, ids[begin:first].tobytes()), []).append(row)
        clean = np.ones(len(texts.texts), bool)
        for (_, found), alone, at in zip(
            seams, self.encode(before for before, _ in seams), seams.values(), strict=True
        ):
            if np.array(alone.ids, np.int32).tobytes() != found:
                clean[at] = False
        return clean


def column(batch: pa.RecordBatch, name: str) -> list[Any]:
    """A column as a list; nulls where there is no such column."""
    return batch[name].to_pylist() if name in batch.schema.names else [None] * batch.num_rows


def _token(encoding: Encoding, character: int, end: int) -> int:
    """The token of a character, or of the next one before `end` that has a token: a normaliser may leave one none."""
    for at in range(character, end):
        token = encoding.char_to_token(at)
        if token is not None:
            return int(token)
    return len(encoding)
