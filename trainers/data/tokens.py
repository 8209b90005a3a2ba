"""From the rows of a hand-off folder to token ids and loss masks, in one pass with bounded memory.

What is wrong with single rows is collected in a report, so that the pre-flight and the trainer see the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from trainers.config import DpoConfig, PamaConfig, RankConfig, RunConfig, SftConfig
from trainers.data.conversations import Conversations
from trainers.data.encoder import Texts
from trainers.data.folder import Handoff, record_batches
from trainers.data.preferences import Preferences
from trainers.data.prompts import Prompts
from trainers.data.rankings import Rankings
from trainers.data.rows import TokenReport, Tokens, joined
from trainers.data.template import load_tokenizer
from trainers.errors import HandoffError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

__all__ = ["TokenReport", "Tokens", "load_tokenizer", "scan", "tokenise"]


class Reader(Protocol):
    """What batches of rows go through, in three steps."""

    report: TokenReport

    def rendered(self, batch: pa.RecordBatch) -> Texts:
        """The texts of a batch's rows; rows that have none are reported."""

    def encode(self, texts: list[str]) -> list[Encoding]:
        """The tokens of these texts; called in another thread."""

    def tokens(self, texts: Texts, encodings: list[Encoding]) -> Tokens:
        """Ids and masks of the rows that can be trained on; the others are reported."""


def tokenise(handoff: Handoff, tokenizer: PreTrainedTokenizerFast, config: RunConfig) -> tuple[Tokens, TokenReport]:
    """Tokens of all rows that are trained on.

    Raises:
        HandoffError: a row can't be trained on; all that is wrong is named, with the first rows of each kind.
    """
    tokens, report = scan(handoff, tokenizer, config)
    wrong = {code: trouble for code, trouble in report.troubles.items() if code not in report.asked_for}
    if wrong:
        lines = [f"{t.count} rows ({', '.join(t.rows[:3])}, ...): {t.message}" for t in wrong.values()]
        raise HandoffError(f"{handoff.path}: " + "; ".join(lines) + ": run `python -m trainers.preflight` for the cure")
    if not report.kept:
        raise HandoffError(f"{handoff.path}: no row is left to train on")
    return tokens, report


def scan(handoff: Handoff, tokenizer: PreTrainedTokenizerFast, config: RunConfig) -> tuple[Tokens, TokenReport]:
    """Tokens of all rows that can be trained on, and what is wrong with the others."""
    reader = _reader(tokenizer, config)
    tokens = joined([reader.tokens(texts, future.result()) for texts, future in _encoded(handoff, reader)])
    report, lengths = reader.report, np.diff(tokens.offsets)
    report.tokens, report.targets = len(tokens.ids), int(tokens.mask.sum())
    report.longest = int(lengths.max(initial=0))
    return tokens, report


def _reader(tokenizer: PreTrainedTokenizerFast, config: RunConfig) -> Reader:
    if isinstance(config, DpoConfig):
        return Preferences(tokenizer, config)
    if isinstance(config, PamaConfig):
        return Prompts(tokenizer, config)
    if isinstance(config, RankConfig):
        return Rankings(tokenizer, config)
    assert isinstance(config, SftConfig)
    return Conversations(tokenizer, config)


def _encoded(handoff: Handoff, reader: Reader) -> Iterator[tuple[Texts, Future[list[Encoding]]]]:
    """Each batch rendered and on its way to ids: while one is encoded (without Python's lock), the next is rendered."""
    with ThreadPoolExecutor(1) as pool:
        before: tuple[Texts, Future[list[Encoding]]] | None = None
        for batch in record_batches(handoff):
            texts = reader.rendered(batch)
            if before is not None:
                encoding, before = before, (texts, pool.submit(reader.encode, texts.texts))
                yield encoding
            else:
                before = texts, pool.submit(reader.encode, texts.texts)
        if before is not None:
            yield before
