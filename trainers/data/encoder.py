"""Batches of rows to ids and masks: rendered, tokenised as a whole, and masked by the offsets of their tokens.

Only rendering and the lookup of a span's two ends go row by row; all else is arithmetic on the batch's flat arrays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainers.config import SftConfig
from trainers.data.rows import TokenReport, Tokens
from trainers.data.template import Rendered, Renderer, RowError, Span

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


class Encoder:
    """What a batch goes through, in three steps: `rendered`, `encoded` (in any thread), `masked`."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: SftConfig) -> None:
        self._config = config
        self._all = config.train_on == "all"
        self._end = str(tokenizer.eos_token or "")
        self._renderer = Renderer(tokenizer, config.train_on) if config.format != "completion" else None
        self._added = np.array(sorted(tokenizer.get_added_vocab().values()), np.int32)
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self.report = TokenReport(self._renderer.masking if self._renderer else "all" if self._all else "completion")

    def rendered(self, batch: pa.RecordBatch) -> Texts:
        """The texts of a batch's rows; rows that have none are reported."""
        self.report.rows += batch.num_rows
        columns = (_column(batch, name) for name in ("row_id", "messages", "prompt", "completion"))
        texts = Texts()
        for row_id, talk, prompt, completion in zip(*columns, strict=True):
            try:
                texts.add(row_id, self._row(talk, prompt, completion))
            except RowError as error:
                self.report.add(error.code, row_id, str(error))
        return texts

    def encoded(self, texts: Texts) -> list[Encoding]:
        """The tokens of the texts as they stand: a chat template writes all special tokens itself."""
        return self._encode(texts.texts)

    def masked(self, texts: Texts, encodings: list[Encoding]) -> Tokens:
        """Ids and masks of the rows that can be trained on; the others are reported."""
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
        clean = self._clean(texts, encodings, ids, offsets, rows, spans[:, 0])
        kept, within = self._fitting(texts.row_ids, mask, offsets, clean)
        lengths = np.minimum(lengths[kept], self._config.max_length)
        names = pa.array([texts.row_ids[row] for row in np.flatnonzero(kept)], pa.string())
        kept_offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Tokens(ids[within], mask[within], kept_offsets, pa.chunked_array([names]))

    def _row(self, talk: Any, prompt: str | None, completion: str | None) -> Rendered:
        if self._renderer and not (talk is None and self._config.format == "both"):
            return self._renderer.render(talk)
        if prompt is None or completion is None:
            raise RowError("no_messages", "prompt or completion is null")
        text = prompt + completion + self._end
        return Rendered(text, ((0 if self._all else len(prompt), len(text)),))

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
            seams, self._encode(before for before, _ in seams), seams.values(), strict=True
        ):
            if np.array(alone.ids, np.int32).tobytes() != found:
                clean[at] = False
        for row in np.flatnonzero(~clean):
            self.report.add("seam", texts.row_ids[row], SEAM)
        return clean

    def _fitting(self, row_ids: list[str], mask: Flags, offsets: Integers, clean: Flags) -> tuple[Flags, Flags]:
        """Which rows are trained on, `[rows]`, and which of all tokens, `[total]`."""
        most, lengths = self._config.max_length, np.diff(offsets)
        owner = np.repeat(np.arange(len(lengths)), lengths)
        position = np.arange(len(mask)) - offsets[owner]
        scored, within = mask & (position > 0), position < most  # nothing predicts a row's first token
        targets, left = (np.bincount(owner[some], minlength=len(lengths)) for some in (scored, scored & within))
        over = clean & (targets > 0) & (lengths > most)
        cut = over & (self._config.over_long == "truncate")
        self.report.over_long += int(over.sum())
        for code, rows, message in (
            ("fully_masked", clean & (targets == 0), "no token of it is a loss target"),
            ("over_long", over, f"it has more than {most} tokens (max_length)"),
            ("cut_to_nothing", cut & (left == 0), f"no loss target is among its first {most} tokens (max_length)"),
            ("cut_answer", cut & (left > 0) & (left < targets), f"its answer is cut after {most} tokens (max_length)"),
        ):
            for row in np.flatnonzero(rows):
                self.report.add(code, row_ids[row], message)
        kept = clean & (left > 0) & (~over | cut)
        return kept, kept[owner] & within

    def _encode(self, texts: Iterable[str]) -> list[Encoding]:
        return self._backend.encode_batch(list(texts), add_special_tokens=False)


def _column(batch: pa.RecordBatch, name: str) -> list[Any]:
    """A column as a list; nulls where there is no such column."""
    return batch[name].to_pylist() if name in batch.schema.names else [None] * batch.num_rows


def _token(encoding: Encoding, character: int, end: int) -> int:
    """The token of a character, or of the next one before `end` that has a token: a normaliser may leave one none."""
    for at in range(character, end):
        token = encoding.char_to_token(at)
        if token is not None:
            return int(token)
    return len(encoding)
