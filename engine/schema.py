"""What a row is: the engine's columns, the types that operators may ask for, and identities of rows.

Identities are derived, never counted: a row has the same id whatever its position, part, worker or run. Nothing here
knows operators or files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

ROW_ID = "row_id"
PARENT_ID = "parent_id"
ERROR = "error"
"""A vector scorer may return this extra string column: why a row's score is null. The engine moves it to `errors`."""

ID_FIELDS = (pa.field(ROW_ID, pa.string(), nullable=False), pa.field(PARENT_ID, pa.string()))

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
MESSAGES = pa.list_(MESSAGE)

# The columns of a selector's verdict, one row for each row of the table it selects from (the names are deita's).
VERDICT = pa.schema(
    [
        pa.field(ROW_ID, pa.string(), nullable=False),
        pa.field("selected", pa.bool_(), nullable=False),
        pa.field("select_rank", pa.int32()),  # order of pick from 0; null for a dropped row
        pa.field("drop_reason", pa.string()),  # null for a kept row
        pa.field("nn_id", pa.string()),  # the pick that displaced the row, where there is one
        pa.field("nn_sim", pa.float32()),  # its similarity to that pick
    ]
)


@dataclass(frozen=True)
class ColumnType:
    """A type that an operator may ask for: a name for messages, and the Arrow types it accepts."""

    name: str
    accepts: Callable[[pa.DataType], bool]

    def __str__(self) -> str:
        return self.name


def is_text(t: pa.DataType) -> bool:
    """Any of Arrow's UTF-8 string types."""
    return bool(pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t))


def is_list(t: pa.DataType) -> bool:
    """A list of any length (not a fixed-size list)."""
    return bool(pa.types.is_list(t) or pa.types.is_large_list(t))


def is_messages(t: pa.DataType) -> bool:
    """`list<struct<role: string, content: string, ...>>`; further fields (tool_calls, name) may follow."""
    if not (is_list(t) and pa.types.is_struct(t.value_type)):
        return False
    fields = {f.name: f.type for f in t.value_type}
    return "role" in fields and is_text(fields["role"]) and "content" in fields and is_text(fields["content"])


def is_number(t: pa.DataType) -> bool:
    """Integers and floats of any width, and decimals."""
    return bool(pa.types.is_integer(t) or pa.types.is_floating(t) or pa.types.is_decimal(t))


def is_embedding(t: pa.DataType) -> bool:
    """`fixed_size_list<float>[d]`."""
    return bool(pa.types.is_fixed_size_list(t) and pa.types.is_floating(t.value_type))


def sql_schema(schema: pa.Schema) -> pa.Schema:
    """The columns as DuckDB can take them from Arrow: without half precision, which it reads from Parquet as FLOAT."""
    return pa.schema([field.with_type(_without_half(field.type)) for field in schema])


def _without_half(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_without_half(kind.value_type), kind.list_size)
    return pa.float32() if pa.types.is_float16(kind) else kind


TEXT_TYPE = ColumnType("string", is_text)
NUMBER_TYPE = ColumnType("number", is_number)
BOOLEAN_TYPE = ColumnType("boolean", pa.types.is_boolean)
MESSAGES_TYPE = ColumnType("messages (list<struct<role: string, content: string>>)", is_messages)
EMBEDDING_TYPE = ColumnType("embedding (fixed_size_list<float>)", is_embedding)
PROMPT_TYPE = ColumnType("messages or string", lambda t: is_messages(t) or is_text(t))
ANY_TYPE = ColumnType("any", lambda _: True)


def empty_table(schema: pa.Schema) -> pa.Table:
    """No rows of these columns; Arrow's own way to say so imports pandas (0.2 s)."""
    return pa.table([pa.nulls(0, field.type) for field in schema], schema=schema)


def digest(*parts: bytes | str, size: int = 12) -> str:
    """A hex digest (BLAKE2b, `2 * size` characters) of length-prefixed parts, so that no two lists collide."""
    raws = [part.encode() if isinstance(part, str) else part for part in parts]
    joined = b"".join([b"%d:%b" % (len(raw), raw) for raw in raws])
    return hashlib.blake2b(joined, digest_size=size).hexdigest()


def child_row_id(parent_id: str, operator: str, k: int) -> str:
    """The id of the k-th row (from 0) that `operator` makes of a parent; a root has the parent `""`."""
    return digest("child", parent_id, operator, str(k))


def content_digests(table: pa.Table, columns: Sequence[str]) -> list[str]:
    """One digest a row over the named columns, independent of their order and of the table's chunking."""
    names = sorted(columns)
    if not names:
        return [digest("row")] * table.num_rows
    return [digest for batch in table.select(names).to_batches() for digest in _batch_digests(batch)]


def _batch_digests(batch: pa.RecordBatch) -> list[str]:
    encoded = [_prefixed(name, _encode(batch[name])) for name in batch.schema.names]
    rows = pc.binary_join_element_wise(*encoded, pa.scalar(b"", pa.large_binary()))
    hashed = hashlib.blake2b
    # One hash call a row: there is no stable row hash in Arrow or polars, and this runs at about a million rows/s.
    joined = b"".join([hashed(raw, digest_size=12).digest() for raw in rows.to_pylist()]).hex()
    return [joined[i : i + 24] for i in range(0, len(joined), 24)]


def _prefixed(name: str, values: pa.Array) -> pa.Array:
    """`name=` and the length before each value, so that neighbouring columns can't run into each other."""
    lengths = pc.cast(pc.cast(pc.binary_length(values), pa.string()), pa.large_binary())
    head = pa.scalar(f"{len(name)}:{name}=".encode(), pa.large_binary())
    return pc.binary_join_element_wise(
        head, lengths, pa.scalar(b":", pa.large_binary()), values, pa.scalar(b"", pa.large_binary())
    )


def _encode(values: pa.Array) -> pa.Array:
    """A canonical binary form of each value, without nulls; recursive over lists and structs."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.dictionary_decode()
        kind = values.type
    if pa.types.is_struct(kind):
        body = _encode_struct(values)
    elif is_list(kind) or pa.types.is_fixed_size_list(kind):
        body = _encode_list(values)
    elif is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        body = (
            values.cast(pa.large_string()).cast(pa.large_binary()) if is_text(kind) else values.cast(pa.large_binary())
        )
    elif pa.types.is_null(kind):
        body = pa.nulls(len(values), pa.large_binary())
    else:
        body = values.cast(pa.large_string()).cast(pa.large_binary())
    return pc.fill_null(body, b"\x00null")


def _encode_list(values: pa.Array) -> pa.Array:
    flat = values.flatten()
    sizes = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array([0, *sizes.cumsum().tolist()], pa.int64())
    joined = pc.binary_join(
        pa.LargeListArray.from_arrays(offsets, _prefixed("", _encode(flat))), pa.scalar(b"", pa.large_binary())
    )
    return pc.if_else(values.is_valid(), joined, pa.scalar(None, pa.large_binary()))


def _encode_struct(values: pa.Array) -> pa.Array:
    """Null fields are left out, so that a batch with an all-null extra field gives the same bytes."""
    parts = []
    for field in sorted(values.type, key=lambda f: f.name):
        column = pc.struct_field(values, field.name)
        present = _prefixed(field.name, _encode(column))
        parts.append(pc.if_else(column.is_valid(), present, pa.scalar(b"", pa.large_binary())))
    if not parts:
        return pa.array([b""] * len(values), pa.large_binary())
    joined = pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.large_binary())) if len(parts) > 1 else parts[0]
    return pc.if_else(values.is_valid(), joined, pa.scalar(None, pa.large_binary()))
