"""Conversations as flat arrays: the vectorised work that the shapes share.

A conversation column is a list of structs. It is flattened once, its messages are worked on as flat arrays, and lists
are put together again from lengths; no Python runs per row or message unless one is at fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.shapes._shape import Problem


@dataclass(frozen=True)
class Talk:
    """Conversations, flat: `fields` are arrays over all messages, `lengths` the number of messages of each row.

    `valid` is false for a row without a conversation (null), whose length is 0.
    """

    fields: Mapping[str, pa.Array]
    lengths: np.ndarray
    valid: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The row of each message."""
        return np.repeat(np.arange(len(self.lengths), dtype=np.int64), self.lengths)

    @property
    def starts(self) -> np.ndarray:
        """The flat index of each row's first message (of the next row's, where it has none)."""
        return np.asarray(np.cumsum(self.lengths) - self.lengths)

    def with_fields(self, **fields: pa.Array) -> Talk:
        """The same conversations with these arrays added or in the place of others."""
        return replace(self, fields={**self.fields, **fields})

    def column(self) -> pa.Array:
        """As a list array, the fields in their order."""
        values = pa.StructArray.from_arrays(list(self.fields.values()), list(self.fields))
        return lists(values, self.lengths, self.valid)

    def take(self, starts: np.ndarray, lengths: np.ndarray, valid: np.ndarray) -> Talk:
        """For each new row, `lengths[i]` messages from the flat index `starts[i]` on."""
        offsets = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        picks = pa.array(offsets + np.arange(int(lengths.sum())))
        return Talk({name: values.take(picks) for name, values in self.fields.items()}, lengths, valid)

    def first(self, field: str) -> pa.Array:
        """A field of each row's first message; null where there is none."""
        return self.fields[field].take(pa.array(self.starts, mask=self.lengths == 0))

    def problems(self, wrong: pa.Array, column: str, field: str, reason: str) -> list[Problem]:
        """A problem for each message where `wrong` (a boolean array) is true."""
        found = np.flatnonzero(np.asarray(pc.fill_null(wrong, False)))
        rows = self.rows[found]
        places = found - self.starts[rows]
        return [Problem(int(row), f"{column}[{at}].{field}", reason) for row, at in zip(rows, places, strict=True)]


def talk_of(column: pa.Array) -> Talk:
    """The flat form of a list of structs; fields that are null as a whole message are null each."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0), dtype=np.int64)
    values = column.flatten()
    fields = dict(zip((f.name for f in values.type), values.flatten(), strict=True))
    return Talk(fields, lengths, np.asarray(column.is_valid()))


def single(text: pa.Array, role: str) -> Talk:
    """Each text as one message of this role; a null is a row without a conversation."""
    valid = np.asarray(text.is_valid())
    content = text.drop_null()
    roles = pa.array([role], pa.string()).take(pa.array(np.zeros(len(content), np.int64)))
    return Talk({"role": roles, "content": content}, valid.astype(np.int64), valid)


def lists(values: pa.Array, lengths: np.ndarray, valid: np.ndarray) -> pa.Array:
    """A list array of `lengths[i]` values each, null where `valid` is false."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~valid))


def alike(talks: Sequence[Talk]) -> list[Talk]:
    """The same conversations with the same fields each: one that some lack is null there."""
    kinds = [pa.schema([(name, values.type) for name, values in talk.fields.items()]) for talk in talks]
    every = pa.unify_schemas(kinds, promote_options="permissive")
    return [
        replace(talk, fields={f.name: _cast_or_null(talk.fields.get(f.name), f.type, len(talk.rows)) for f in every})
        for talk in talks
    ]


def joined(talks: Sequence[Talk]) -> Talk:
    """The conversations of each row one after the other."""
    talks = alike(talks)
    order = pa.array(np.argsort(np.concatenate([talk.rows for talk in talks]), kind="stable"))
    fields = {name: pa.concat_arrays([talk.fields[name] for talk in talks]).take(order) for name in talks[0].fields}
    lengths = np.sum([talk.lengths for talk in talks], axis=0)
    return Talk(fields, lengths, np.logical_or.reduce([talk.valid for talk in talks]))


def _cast_or_null(values: pa.Array | None, kind: pa.DataType, size: int) -> pa.Array:
    return pa.nulls(size, kind) if values is None else values.cast(kind)


def first_user(talk: Talk) -> pa.Array:
    """The content of each row's first user message; null where there is none."""
    return _content_at(talk, "user", last=False)


def last_assistant(talk: Talk) -> pa.Array:
    """The content of each row's last assistant message; null where there is none."""
    return _content_at(talk, "assistant", last=True)


def _content_at(talk: Talk, role: str, *, last: bool) -> pa.Array:
    spoken = np.flatnonzero(np.asarray(pc.fill_null(pc.equal(talk.fields["role"], role), False)))
    spoken = spoken[::-1] if last else spoken
    rows, at = np.unique(talk.rows[spoken], return_index=True)
    picks = np.full(len(talk.lengths), -1)
    picks[rows] = spoken[at]
    return talk.fields["content"].take(pa.array(picks, mask=picks < 0))
