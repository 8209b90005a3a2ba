"""Rows of supervised fine-tuning: conversations by their chat template, or prompts and completions as they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from trainers.config import SftConfig
from trainers.data.encoder import SEAM, Encoded, Encoder, Flags, Texts, column
from trainers.data.rows import TokenReport, Tokens
from trainers.data.template import Rendered, Renderer, RowError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

ASKED_FOR = {"error": set[str](), "drop": {"over_long"}, "truncate": {"over_long", "cut_answer", "cut_to_nothing"}}
"""What each setting of `over_long` has asked for, and so does not end a run."""


class Conversations:
    """A reader of such rows, see `tokens.Reader`."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: SftConfig) -> None:
        self._config = config
        self._all = config.train_on == "all"
        self._end = str(tokenizer.eos_token or "")
        self._renderer = Renderer(tokenizer, config.train_on) if config.format != "completion" else None
        self._encoder = Encoder(tokenizer)
        self.encode = self._encoder.encode
        masking = self._renderer.masking if self._renderer else "all" if self._all else "completion"
        self.report = TokenReport(masking, ASKED_FOR[config.over_long])

    def rendered(self, batch: pa.RecordBatch) -> Texts:
        """See `Reader`."""
        self.report.rows += batch.num_rows
        columns = (column(batch, name) for name in ("row_id", "messages", "prompt", "completion"))
        texts = Texts()
        for row_id, talk, prompt, completion in zip(*columns, strict=True):
            try:
                texts.add(row_id, self._row(talk, prompt, completion))
            except RowError as error:
                self.report.add(error.code, row_id, str(error))
        return texts

    def tokens(self, texts: Texts, encodings: list[Encoding]) -> Tokens:
        """See `Reader`."""
        encoded = self._encoder.masked(texts, encodings)
        self.report.add_all("seam", texts.row_ids, ~encoded.clean, SEAM)
        kept = self._fitting(texts.row_ids, encoded)
        lengths = np.minimum(np.diff(encoded.offsets)[kept], self._config.max_length)
        self.report.kept += len(lengths)
        return encoded.take(encoded.offsets[:-1][kept], lengths, [texts.row_ids[row] for row in np.flatnonzero(kept)])

    def _row(self, talk: Any, prompt: str | None, completion: str | None) -> Rendered:
        if self._renderer and not (talk is None and self._config.format == "both"):
            return self._renderer.render(talk)
        if prompt is None or completion is None:
            raise RowError("no_messages", "prompt or completion is null")
        text = prompt + completion + self._end
        return Rendered(text, ((0 if self._all else len(prompt), len(text)),))

    def _fitting(self, row_ids: list[str], encoded: Encoded) -> Flags:
        """Which rows are trained on, `[rows]`, up to `max_length` tokens of each."""
        most, lengths = self._config.max_length, np.diff(encoded.offsets)
        targets, left = encoded.targets(), encoded.targets(most)
        over = encoded.clean & (targets > 0) & (lengths > most)
        cut = over & (self._config.over_long == "truncate")
        self.report.over_long += int(over.sum())
        self.report.cut += int(cut.sum())
        for code, rows, message in (
            ("fully_masked", encoded.clean & (targets == 0), "no token of it is a loss target"),
            ("over_long", over, f"it has more than {most} tokens (max_length)"),
            ("cut_to_nothing", cut & (left == 0), f"no loss target is among its first {most} tokens (max_length)"),
            ("cut_answer", cut & (left > 0) & (left < targets), f"its answer is cut after {most} tokens (max_length)"),
        ):
            self.report.add_all(code, row_ids, rows, message)
        return encoded.clean & (left > 0) & (~over | cut)
