"""Arrow types of what is read: one normal form for every format, and the one schema of several inputs.

The normal form has plain strings, binaries and lists (no large, view, dictionary or run-end encoded kinds), maps as
lists of key and value, and extension types as what they are stored as. Numbers, times and decimals stay as found.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import SetwrightError
from engine.operators.sources._reader import Input
from engine.schema import is_list, is_text

_VIEWS = (pa.types.is_list_view, pa.types.is_large_list_view)


def normal(kind: pa.DataType) -> pa.DataType:
    """The normal form of a type (see the module's docstring)."""
    if isinstance(kind, pa.BaseExtensionType):
        return normal(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return normal(kind.value_type)
    if is_text(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, normal(f.type)) for f in kind])
    if pa.types.is_map(kind):
        return pa.list_(pa.struct([("key", normal(kind.key_type)), ("value", normal(kind.item_type))]))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(normal(kind.value_type), kind.list_size)
    if is_list(kind) or any(test(kind) for test in _VIEWS):
        return pa.list_(normal(kind.value_type))
    return kind


def normal_schema(schema: pa.Schema, source: Input) -> pa.Schema:
    """The columns in normal form, without metadata.

    Raises:
        SetwrightError: two columns have one name.
    """
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise SetwrightError(
            f"{source.name} has several columns named {twice[0]!r}", cure="give every column its own name"
        )
    return pa.schema([(f.name, normal(f.type)) for f in schema])


def unify(known: pa.Schema, new: pa.Schema) -> pa.Schema:
    """Both schemas' columns: null widens to anything, integers to floats, structs to all fields of both.

    Raises:
        pa.ArrowTypeError: a column's types have no common one.
    """
    merged = pa.unify_schemas([known, new], promote_options="permissive")
    return pa.schema([(f.name, normal(f.type)) for f in merged])  # the fields' names inside lists come from either side


def unify_inputs(known: pa.Schema, new: pa.Schema, source: Input) -> pa.Schema:
    """`unify` for a format whose files state their types, where a conflict is the file's, not a record's."""
    for field in new:
        if field.name in known.names:
            old = known.field(field.name)
            try:
                unify(pa.schema([old]), pa.schema([field]))
            except pa.ArrowTypeError as e:
                raise SetwrightError(
                    f"{source.name}: column {field.name!r} is {field.type}, but {old.type} in the inputs before it",
                    cure="give the column one type, or read the files as two tables and join them by SQL",
                ) from e
    return unify(known, new)


def settled(schema: pa.Schema) -> pa.Schema:
    """The columns when all inputs are known: a list that never held a value is a list of text.

    Arrow's JSON parser makes an invalid array of a list of nulls that has no other type.
    """
    return pa.schema([(field.name, _settled(field.type)) for field in schema])


def _settled(kind: pa.DataType, inside_list: bool = False) -> pa.DataType:
    if is_list(kind):
        return pa.list_(_settled(kind.value_type, inside_list=True))
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, _settled(f.type)) for f in kind])
    return pa.string() if inside_list and pa.types.is_null(kind) else kind


def solid(table: pa.Table) -> pa.Table:
    """The table with `{}` as text where objects have no key in any record: Parquet has no struct without fields."""
    columns = [_solid(c.combine_chunks()) if _is_hollow(c.type) else c for c in table.columns]
    return pa.table(columns, names=table.column_names)


def _solid(values: pa.Array) -> pa.Array:
    kind = values.type
    if not _is_hollow(kind):
        return values
    if pa.types.is_struct(kind) and kind.num_fields == 0:
        return pc.if_else(values.is_valid(), "{}", pa.scalar(None, pa.string()))
    if pa.types.is_struct(kind):
        children = [_solid(pc.struct_field(values, [i])) for i in range(kind.num_fields)]
        return pa.StructArray.from_arrays(children, [f.name for f in kind], mask=values.is_null())
    sizes = pc.fill_null(pc.list_value_length(values), 0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, _solid(values.flatten()), mask=values.is_null())


def _is_hollow(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_is_hollow(f.type) for f in kind)
    return is_list(kind) and _is_hollow(kind.value_type)


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly these columns: a missing one is null, a narrower one is widened.

    Raises:
        pa.ArrowInvalid: a value would change (an integer that a float can't hold exactly).
    """
    columns = [
        _cast(table[field.name], field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([c.storage for c in column.chunks], column.type.storage_type)
    return column.cast(kind)
