"""Rows as prompts, for answers that the policy will write itself: what is tokenised of them, and what rewards see.

A prompt is the column `prompt`, a text as it stands or messages, or else `messages` up to the last turn of the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainers.config import PamaConfig
from trainers.data.encoder import Encoder, Texts, column
from trainers.data.folder import Handoff, record_batches
from trainers.data.rows import TokenReport, Tokens
from trainers.data.template import Message, Rendered, Renderer, RowError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerFast

Prompt = str | list[dict[str, Any]]
"""A text, or the turns of a conversation."""

ASKED_FOR = {"error": set[str](), "drop": {"over_long"}}
"""What each setting of `over_long` has asked for, and so does not end a run."""


class Prompts:
    """A reader of such rows, see `tokens.Reader`; no token is a target."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: PamaConfig) -> None:
        self._tokenizer, self._room = tokenizer, config.max_length - config.max_new_tokens
        self._renderer: Renderer | None = None
        self._encoder = Encoder(tokenizer)
        self.encode = self._encoder.encode
        self.report = TokenReport("prompt", ASKED_FOR[config.over_long])

    def rendered(self, batch: pa.RecordBatch) -> Texts:
        """See `Reader`."""
        self.report.rows += batch.num_rows
        texts = Texts()
        for row_id, prompt, talk in zip(*(column(batch, name) for name in ("row_id", *COLUMNS)), strict=True):
            try:
                texts.add(row_id, Rendered(self._text(asked(prompt, talk)), ()))
            except RowError as error:
                self.report.add(error.code, row_id, str(error))
        return texts

    def tokens(self, texts: Texts, encodings: list[Encoding]) -> Tokens:
        """See `Reader`."""
        encoded = self._encoder.masked(texts, encodings)
        lengths = np.diff(encoded.offsets)
        over = lengths > self._room
        self.report.over_long += int(over.sum())
        wrong = f"it leaves no room for max_new_tokens within max_length: it may have {self._room} tokens"
        self.report.add_all("over_long", texts.row_ids, over, wrong)
        self.report.add_all("no_messages", texts.row_ids, lengths == 0, "its prompt has no token")
        kept = ~over & (lengths > 0)
        self.report.kept += int(kept.sum())
        row_ids = [texts.row_ids[row] for row in np.flatnonzero(kept)]
        return encoded.take(encoded.offsets[:-1][kept], lengths[kept], row_ids)

    def _text(self, prompt: Prompt) -> str:
        if isinstance(prompt, str):
            return prompt
        self._renderer = self._renderer or Renderer(self._tokenizer, "assistant")
        return self._renderer.prompt(prompt)


COLUMNS = ("prompt", "messages")


def asked(prompt: Prompt | None, talk: Sequence[Message] | None) -> Prompt:
    """The prompt of a row; turns without the fields that Arrow fills with nulls.

    Raises:
        RowError: it has none.
    """
    if isinstance(prompt, str):
        return prompt
    turns = prompt
    if turns is None and talk is not None:
        last = max((place for place, turn in enumerate(talk) if turn["role"] == "user"), default=-1)
        turns = [dict(turn) for turn in talk[: last + 1]]
    if not turns:
        raise RowError("no_messages", "it has neither a prompt nor a turn of the user")
    if turns[-1]["role"] == "assistant":
        raise RowError("role_order", "its prompt ends with the assistant")
    return [{name: value for name, value in turn.items() if value is not None} for turn in turns]


class Asked:
    """The prompts of a folder's rows as the data has them, for rewards to read."""

    def __init__(self, handoff: Handoff, row_ids: pa.Array) -> None:
        """`row_ids`: those that are kept, in their order."""
        held = [name for name in COLUMNS if name in handoff.columns]
        table = pa.Table.from_batches([batch.select(["row_id", *held]) for batch in record_batches(handoff)])
        self._table = table.take(pc.index_in(row_ids, value_set=table["row_id"].combine_chunks()))

    def of(self, rows: Sequence[int]) -> list[Prompt]:
        """Of some of the kept rows."""
        records: list[Mapping[str, Any]] = self._table.take(pa.array(rows, pa.int64())).to_pylist()
        return [asked(*(record.get(name) for name in COLUMNS)) for record in records]
