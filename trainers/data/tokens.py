"""From the rows of a hand-off folder to token ids and loss masks, in one pass with bounded memory.

What is wrong with single rows is collected in a report, so that the pre-flight and the trainer see the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from trainers.config import SftConfig
from trainers.data.encoder import Encoder, Texts
from trainers.data.folder import Handoff, record_batches
from trainers.data.rows import TokenReport, Tokens, joined
from trainers.data.template import load_tokenizer
from trainers.errors import HandoffError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

__all__ = ["ASKED_FOR", "TokenReport", "Tokens", "load_tokenizer", "scan", "tokenise"]

ASKED_FOR = {"error": set[str](), "drop": {"over_long"}, "truncate": {"over_long", "cut_answer", "cut_to_nothing"}}
"""What each setting of `over_long` has asked for, and so does not end a run."""


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
    encoder = Encoder(tokenizer, config)
    tokens = joined([encoder.masked(texts, future.result()) for texts, future in _encoded(handoff, encoder)])
    report, lengths = encoder.report, np.diff(tokens.offsets)
    report.kept, report.tokens, report.targets = len(lengths), len(tokens.ids), int(tokens.mask.sum())
    report.longest = int(lengths.max(initial=0))
    return tokens, report


def _encoded(handoff: Handoff, encoder: Encoder) -> Iterator[tuple[Texts, Future[list[Encoding]]]]:
    """Each batch rendered and on its way to ids: while one is encoded (without Python's lock), the next is rendered."""
    with ThreadPoolExecutor(1) as pool:
        before: tuple[Texts, Future[list[Encoding]]] | None = None
        for batch in record_batches(handoff):
            texts = encoder.rendered(batch)
            if before is not None:
                encoding, before = before, (texts, pool.submit(encoder.encoded, texts))
                yield encoding
            else:
                before = texts, pool.submit(encoder.encoded, texts)
        if before is not None:
            yield before
