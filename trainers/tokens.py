"""From the rows of a hand-off folder to token ids and loss masks, in one pass with bounded memory.

A row is tokenised once, as a whole; which of its tokens are targets follows from the character spans of `template`.
What is wrong with single rows is collected in a report, so that the pre-flight and the trainer see the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from trainers.config import SftConfig
from trainers.folder import Handoff, HandoffError, record_batches
from trainers.template import Renderer, RowError, load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

__all__ = ["TokenReport", "Tokens", "load_tokenizer", "scan", "tokenise"]

NAMED = 10
"""Rows that a problem names."""


ASKED_FOR = {"error": set[str](), "drop": {"over_long"}, "truncate": {"over_long", "cut_answer", "cut_to_nothing"}}
"""What each setting of `over_long` has asked for, and so does not end a run."""


@dataclass(frozen=True)
class Tokens:
    """Rows of different lengths in flat arrays; row i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: npt.NDArray[np.int32]  # [total]
    mask: npt.NDArray[np.bool_]  # [total]: the token is a loss target
    offsets: npt.NDArray[np.int64]  # [rows + 1]
    row_ids: pa.ChunkedArray  # string [rows]


@dataclass
class Trouble:
    """Rows that have the same thing wrong with them: how many, the first of them, and what it is of the first."""

    message: str
    count: int = 0
    rows: list[str] = field(default_factory=list)

    def add(self, row_id: str) -> None:
        """Count a row."""
        self.count += 1
        if len(self.rows) < NAMED:
            self.rows.append(row_id)


@dataclass
class TokenReport:
    """What became of the rows. `kept` are trained on; `troubles` are by their codes."""

    masking: str
    rows: int = 0
    kept: int = 0
    tokens: int = 0
    targets: int = 0
    longest: int = 0
    over_long: int = 0
    troubles: dict[str, Trouble] = field(default_factory=dict)

    def add(self, code: str, row_id: str, message: str) -> None:
        """Count a row that has something wrong with it."""
        self.troubles.setdefault(code, Trouble(message)).add(row_id)


Row = tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]


def tokenise(handoff: Handoff, tokenizer: PreTrainedTokenizerFast, config: SftConfig) -> tuple[Tokens, TokenReport]:
    """Tokens of all rows that are trained on.

    Raises:
        HandoffError: a row can't be trained on; all that is wrong is named, with the first rows of each kind.
    """
    tokens, report = scan(handoff, tokenizer, config)
    wrong = {code: trouble for code, trouble in report.troubles.items() if code not in ASKED_FOR[config.over_long]}
    if wrong:
        lines = [f"{t.count} rows ({', '.join(t.rows[:3])}, ...): {t.message}" for t in wrong.values()]
        raise HandoffError(f"{handoff.path}: " + "; ".join(lines) + ": run `python -m trainers.preflight` for the cure")
    if not report.kept:
        raise HandoffError(f"{handoff.path}: no row is left to train on")
    return tokens, report


def scan(handoff: Handoff, tokenizer: PreTrainedTokenizerFast, config: SftConfig) -> tuple[Tokens, TokenReport]:
    """Tokens of all rows that can be trained on, and what is wrong with the others."""
    encoder = _Encoder(tokenizer, config)
    batches = [_joined(batch, list(encoder.rows(batch))) for batch in record_batches(handoff)]
    lengths = np.concatenate([np.diff(part.offsets) for part in batches] or [np.empty(0, np.int64)])
    tokens = Tokens(
        np.concatenate([part.ids for part in batches] or [np.empty(0, np.int32)]),
        np.concatenate([part.mask for part in batches] or [np.empty(0, bool)]),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        pa.chunked_array([chunk for part in batches for chunk in part.row_ids.chunks], pa.string()),
    )
    report = encoder.report
    report.kept, report.tokens, report.targets = len(lengths), len(tokens.ids), int(tokens.mask.sum())
    report.longest = int(lengths.max(initial=0))
    return tokens, report


def _joined(batch: pa.RecordBatch, rows: list[tuple[int, Row]]) -> Tokens:
    """The kept rows of a batch in flat arrays: a numpy array for each row would cost a hundred bytes a row."""
    numbers = pa.array([number for number, _ in rows], pa.int64())
    return Tokens(
        np.concatenate([ids for _, (ids, _) in rows] or [np.empty(0, np.int32)]),
        np.concatenate([mask for _, (_, mask) in rows] or [np.empty(0, bool)]),
        np.cumsum([0, *(len(ids) for _, (ids, _) in rows)], dtype=np.int64),
        pa.chunked_array([batch["row_id"].take(numbers).cast(pa.string())]),
    )


class _Encoder:
    """Rows of record batches to ids and masks; counts what is wrong."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: SftConfig) -> None:
        self._config = config
        self._all = config.train_on == "all"
        self._end = tokenizer.eos_token or ""
        self._renderer = Renderer(tokenizer, config.train_on) if config.format != "completion" else None
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self.report = TokenReport(self._renderer.masking if self._renderer else "all" if self._all else "completion")

    def rows(self, batch: pa.RecordBatch) -> Iterator[tuple[int, Row]]:
        """The rows of a batch that can be trained on, each with its number in the batch."""
        self.report.rows += batch.num_rows
        names = batch["row_id"].to_pylist()
        talks = _column(batch, "messages")
        for number, row in sorted(
            [*self._conversations(names, talks), *self._completions(names, batch, talks)], key=lambda item: item[0]
        ):
            fitted = self._fit(names[number], row)
            if fitted is not None:
                yield number, fitted

    def _conversations(self, names: list[str], talks: list[Any]) -> Iterator[tuple[int, Row]]:
        if self._renderer is None:
            return
        rendered = {}
        for number, talk in enumerate(talks):
            if talk is None and self._config.format == "both":
                continue
            try:
                rendered[number] = self._renderer.render(talk)
            except RowError as error:
                self.report.add(error.code, names[number], str(error))
        encodings = self._encode(row.text for row in rendered.values())
        for (number, row), encoding in zip(rendered.items(), encodings, strict=True):
            mask = np.zeros(len(encoding), bool)
            for start, end in row.spans:
                if start < end:
                    mask[_token(encoding, start, end) : _token(encoding, end - 1, start, -1) + 1] = True
            yield number, (np.array(encoding.ids, np.int32), mask)

    def _completions(self, names: list[str], batch: pa.RecordBatch, talks: list[Any]) -> Iterator[tuple[int, Row]]:
        """Prompt and completion are tokenised apart: what is asked later is the prompt's own tokens."""
        if self._config.format == "conversation":
            return
        prompts, completions = _column(batch, "prompt"), _column(batch, "completion")
        chosen = [i for i in range(len(names)) if self._renderer is None or talks[i] is None]
        good = [i for i in chosen if prompts[i] is not None and completions[i] is not None]
        for i in sorted(set(chosen) - set(good)):
            self.report.add("no_messages", names[i], "prompt or completion is null")
        before = self._encode(prompts[i] for i in good)
        after = self._encode(completions[i] + self._end for i in good)
        for i, prompt, completion in zip(good, before, after, strict=True):
            mask = np.ones(len(prompt) + len(completion), bool)
            mask[: len(prompt)] = self._all
            yield i, (np.array(prompt.ids + completion.ids, np.int32), mask)

    def _fit(self, row_id: str, row: Row) -> Row | None:
        """The row as it is trained on; None where it is not."""
        ids, mask = row
        report, most = self.report, self._config.max_length
        if not mask[1:].any():  # nothing predicts a row's first token
            report.add("fully_masked", row_id, "no token of it is a loss target")
            return None
        if len(ids) <= most:
            return row
        report.over_long += 1
        report.add("over_long", row_id, f"it has more than {most} tokens (max_length)")
        if self._config.over_long != "truncate":
            return None
        if not mask[1:most].any():
            report.add("cut_to_nothing", row_id, f"no loss target is among its first {most} tokens (max_length)")
            return None
        if mask[most:].any():
            report.add("cut_answer", row_id, f"its answer is cut after {most} tokens (max_length)")
        return ids[:most], mask[:most]

    def _encode(self, texts: Iterable[str]) -> list[Encoding]:
        return self._backend.encode_batch(list(texts), add_special_tokens=False)


def _column(batch: pa.RecordBatch, name: str) -> list[Any]:
    """A column as a list; nulls where there is no such column."""
    return batch[name].to_pylist() if name in batch.schema.names else [None] * batch.num_rows


def _token(encoding: Encoding, start: int, end: int, step: int = 1) -> int:
    """The token of a character; of the next one towards `end` where a normaliser has left the character no token."""
    for character in range(start, end - 1 if step < 0 else end, step):
        token = encoding.char_to_token(character)
        if token is not None:
            return int(token)
    return len(encoding) if step > 0 else -1
