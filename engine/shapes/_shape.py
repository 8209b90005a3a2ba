"""What a shape is, and the vectorised work on conversations that shapes share.

A conversation column is a list of structs. It is flattened once, its messages are worked on as flat arrays, and lists
are put together again from lengths; no Python runs per row or message unless one is at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.schema import is_list, is_text


class Problem(NamedTuple):
    """A row that isn't what its shape says: its index in the table, the field's path, and what is wrong."""

    row: int
    field: str
    reason: str


Filled = tuple[pa.Table, list[Problem]]


@dataclass(frozen=True)
class Shape:
    """A way in which data sets lay out their rows.

    `detect(schema)` looks at names and types alone, and so does the schema that `fill` gives: a column's type never
    depends on values. `fill(table)` keeps every column, adds what the shape has in a canonical form, and returns as many
    rows, in order; a row with a problem has whatever its faulty values led to. `content` names the columns, after
    filling, that say what a row is: its identity. A column that is absent counts as null.
    """

    name: str
    needs: str  # in words, for the message when the named shape isn't there
    detect: Callable[[pa.Schema], bool]
    content: tuple[str, ...]
    fill: Callable[[pa.Table], Filled]


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
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def starts(self) -> np.ndarray:
        """The flat index of each row's first message (of the next row's, where it has none)."""
        return np.cumsum(self.lengths) - self.lengths

    def with_fields(self, **fields: pa.Array) -> Talk:
        """The same conversations with these arrays added or in the place of others."""
        return Talk({**self.fields, **fields}, self.lengths, self.valid)

    def column(self) -> pa.Array:
        """As a list array, the fields in their order."""
        values = pa.StructArray.from_arrays(list(self.fields.values()), list(self.fields))
        return lists(values, self.lengths, self.valid)

    def take(self, starts: np.ndarray, lengths: np.ndarray, valid: np.ndarray) -> Talk:
        """For each new row, `lengths[i]` messages from the flat index `starts[i]` on."""
        offsets = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        picks = pa.array(offsets + np.arange(int(lengths.sum())))
        return Talk({name: values.take(picks) for name, values in self.fields.items()}, lengths, valid)

    def problems(self, wrong: pa.Array, column: str, field: str, reason: str) -> list[Problem]:
        """A problem for each message where `wrong` (a boolean array) is true."""
        found = np.flatnonzero(np.asarray(pc.fill_null(wrong, False)))
        rows, starts = self.rows, self.starts
        dotted = f".{field}" if field else ""
        return [Problem(int(r), f"{column}[{i - starts[r]}]{dotted}", reason) for i, r in zip(found, rows[found], strict=True)]


def one(table: pa.Table, name: str) -> pa.Array:
    """A column as one array."""
    chunks = table[name].combine_chunks()
    return chunks.combine_chunks() if isinstance(chunks, pa.ChunkedArray) else chunks


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


def joined(talks: Sequence[Talk]) -> Talk:
    """The conversations of each row one after the other; a field that some lack is null there."""
    names = list(dict.fromkeys(name for talk in talks for name in talk.fields))
    kinds = {name: next(t.fields[name].type for t in talks if name in t.fields) for name in names}
    flat = {
        name: pa.concat_arrays([t.fields.get(name, pa.nulls(int(t.lengths.sum()), kinds[name])) for t in talks])
        for name in names
    }
    order = np.argsort(np.concatenate([talk.rows for talk in talks]), kind="stable")
    picks = pa.array(order)
    valid = np.logical_or.reduce([talk.valid for talk in talks])
    return Talk({name: values.take(picks) for name, values in flat.items()}, sum(t.lengths for t in talks), valid)


def add(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """The table with these columns after its own; a column that it has stays as found."""
    for name, values in columns.items():
        if name not in table.column_names:
            table = table.append_column(name, values)
    return table


def replaced(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """The table with a column in the place of the one of that name, or after its own."""
    if name not in table.column_names:
        return table.append_column(name, values)
    return table.set_column(table.column_names.index(name), name, values)


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


def null_rows(column: pa.Array, name: str) -> list[Problem]:
    """A problem for each null."""
    return [Problem(int(i), name, "missing or null") for i in np.flatnonzero(np.asarray(column.is_null()))]


def text_fields(schema: pa.Schema) -> set[str]:
    """The names of the text columns."""
    return {field.name for field in schema if is_text(field.type)}


def message_fields(kind: pa.DataType) -> dict[str, pa.DataType]:
    """The fields of the messages of a conversation column; empty for any other type."""
    if is_list(kind) and pa.types.is_struct(kind.value_type):
        return {field.name: field.type for field in kind.value_type}
    return {}
