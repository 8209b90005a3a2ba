"""JSON records, one a line, to Arrow: fast where every record is plain, record by record where one is not.

Arrow's own parser does the work, a block at a time. Where it refuses a block, or where it would change a value (it
reads two records on a line, rounds integers beyond 64 bits, knows NaN), the block goes through `_sift`, which names
what is wrong and hands the good records back to the same parser. So there is one way from JSON to Arrow, and a block
gives the same rows whichever path it takes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.json

from engine.errors import BadRecord
from engine.operators.sources._reader import TEXT_LIMIT, Block, Loosen, Widened, record_numbers
from engine.operators.sources._sift import MAX_DEPTH, Line, Lines, fitting, parse
from engine.operators.sources._types import conform, settled, unify
from engine.schema import is_list, is_text

_EXACT = float(2**53)  # integers up to here have a double each
_DEEP_LINE, _DEEP_BRACKETS = 4000, 2000  # Arrow's parser recurses: some 8,000 levels crash the process
_ARROW_BLOCK, _ARROW_LARGEST = 1 << 20, 2**31 - 1


def widen(known: pa.Schema, lines: Lines, loosen: Loosen | None) -> pa.Schema:
    """The columns after a block, where `known` are those before it; a bad record leaves no trace in them.

    A field has the type of the first record that holds a value for it: null widens to anything, integers widen to
    floats, objects to the fields of both. A record with another kind of value (text, then a list) is a bad record.
    """
    table = _fast(lines.data, None)
    if table is not None and not (loosen and loosen.concerns(table.schema)):
        wider = _unified(known, table)
        if wider is not None:
            return wider
    good, _ = parse(lines, loosen)
    table = _exact(_arrow(_joined(good), None))
    wider = None if table is None else _unified(known, table)
    return fitting(good, known, lines.name).schema if wider is None else wider


def read(schema: pa.Schema, lines: Lines, loosen: Loosen | None) -> Block:
    """The records of a block as a table of exactly this schema, and the bad ones by number, field and reason.

    `schema` is what `widen` made of all blocks, `settled`.
    """
    table = _fast(lines.data, schema)
    if table is not None:
        return Block(conform(table, schema), record_numbers(lines.first, len(table)))
    good, bad = parse(lines, loosen)
    table = _exact(_arrow(_joined(good), schema))
    if table is None:
        fitted = fitting(good, schema, lines.name)
        table, good, refused = _halving(fitted.good, schema, lines.name)
        bad = sorted([*bad, *fitted.bad, *refused], key=lambda b: b.record)
    numbers = np.array([line.number for line in good], dtype=np.int64)
    return Block(conform(table, schema), numbers, tuple(bad))


def read_known(known: pa.Schema, lines: Lines, loosen: Loosen | None) -> Block:
    """`read` with the columns of some blocks before this one.

    Raises:
        Widened: `widen` would make other columns of them.
    """
    schema = settled(known)
    table = _fast(lines.data, schema)
    if table is not None:
        return Block(conform(table, schema), record_numbers(lines.first, len(table)))
    if widen(known, lines, loosen) != known:
        raise Widened
    return read(schema, lines, loosen)


def _unified(known: pa.Schema, table: pa.Table) -> pa.Schema | None:
    """The columns of both, or None where some record conflicts with the blocks before."""
    try:
        return unify(known, _without_times(table.schema))
    except pa.ArrowTypeError:
        return None


def _fast(data: bytes, schema: pa.Schema | None) -> pa.Table | None:
    """Arrow's reading of a block as it was cut from a file, or None where it can't be trusted with it."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    lines = len(ends) if data.endswith(b"\n") else len(ends) + 1
    if not (_one_object_a_line(data, lines) and _is_utf8(data)):
        return None
    longest = _longest(ends, len(data))
    if longest > _DEEP_LINE and _is_deep(data):
        return None
    table = _exact(_arrow(data, schema, longest))
    return table if table is not None and len(table) == lines and _depth(table.schema) <= MAX_DEPTH else None


def _arrow(data: bytes, schema: pa.Schema | None, longest: int | None = None) -> pa.Table | None:
    """What Arrow's parser makes of lines that hold one object each; None where it refuses them."""
    parsing = pa.json.ParseOptions()
    if schema is not None:
        explicit = pa.schema([f for f in schema if _has_json_form(f.type)])
        parsing = pa.json.ParseOptions(explicit_schema=explicit, unexpected_field_behavior="error")
    block = min(max(_ARROW_BLOCK, (longest or len(data)) + 1), _ARROW_LARGEST)  # it must hold the longest line
    reading = pa.json.ReadOptions(block_size=block)
    try:
        return pa.json.read_json(pa.BufferReader(data), read_options=reading, parse_options=parsing)
    except pa.ArrowInvalid:
        return None


def _exact(table: pa.Table | None) -> pa.Table | None:
    """The table, unless a float in it may be a rounded integer, NaN or infinite.

    A real 1e300 is taken for one too: its block goes the careful way.
    """
    if table is None:
        return None
    floats = (values.drop_null().to_numpy() for column in table.columns for values in _floats(column))
    return table if all(bool(np.all(np.abs(f) < _EXACT)) for f in floats) else None  # NaN < x is false


def _one_object_a_line(data: bytes, lines: int) -> bool:
    """Whether every line begins with `{` and ends with `}`: then each line holds at least one whole record.

    A closing brace can't be followed by an opening one inside a record. Together with the number of records this
    makes it exactly one a line.
    """
    if not (data.startswith(b"{") and data.rstrip(b"\r\n").endswith(b"}")):
        return False
    joints = data.count(b"}\n{")
    return joints == lines - 1 or joints + data.count(b"}\r\n{") == lines - 1


def _is_utf8(data: bytes) -> bool:
    """Arrow's parser does not check; its validation of a string array does, at several GB/s."""
    offsets = pa.py_buffer(np.array([0, len(data)], np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _longest(ends: np.ndarray, size: int) -> int:
    return int(np.diff(ends, prepend=-1, append=size).max())


def _is_deep(data: bytes) -> bool:
    long_lines = (line for line in data.split(b"\n") if len(line) > _DEEP_LINE)
    return any(line.count(b"[") + line.count(b"{") > _DEEP_BRACKETS for line in long_lines)


def _has_json_form(kind: pa.DataType) -> bool:
    """Whether Arrow's JSON parser takes the type; a column of another type comes from an input of another format."""
    if is_list(kind):
        return _has_json_form(kind.value_type)
    if pa.types.is_struct(kind):
        return all(_has_json_form(f.type) for f in kind)
    tests = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, is_text)
    return any(test(kind) for test in tests)


def _floats(column: pa.ChunkedArray | pa.Array) -> Iterator[pa.ChunkedArray | pa.Array]:
    """Every array of floats inside a column, at any depth."""
    if pa.types.is_floating(column.type):
        yield column
    elif is_list(column.type):
        yield from _floats(pa.compute.list_flatten(column))
    elif pa.types.is_struct(column.type):
        for i in range(column.type.num_fields):
            yield from _floats(pa.compute.struct_field(column, [i]))


def _depth(schema: pa.Schema) -> int:
    """Levels of lists and structs in the deepest column, the record itself among them."""
    level, depth = [f.type for f in schema], 0
    while level:
        level = [kind.field(i).type for kind in level if pa.types.is_nested(kind) for i in range(kind.num_fields)]
        depth += 1
    return depth


def _without_times(schema: pa.Schema) -> pa.Schema:
    """Arrow takes text that looks like a time for one; text it is."""
    return pa.schema([(f.name, _timeless(f.type)) for f in schema])


def _timeless(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_temporal(kind):
        return pa.string()
    if is_list(kind):
        return pa.list_(_timeless(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, _timeless(f.type)) for f in kind])
    return kind


def _halving(good: list[Line], schema: pa.Schema, name: str) -> tuple[pa.Table, list[Line], list[BadRecord]]:
    """The lines that Arrow takes; one that it refuses for a reason of its own is a bad record, found by halving."""
    if not good:
        return schema.empty_table(), [], []
    table = _arrow(_joined(good), schema)
    if table is not None:
        return table, good, []
    if len(good) == 1:
        text = good[0].data[:TEXT_LIMIT].decode("utf-8", "ignore")
        refused = BadRecord(name, good[0].number, "", "the JSON parser of Arrow refuses this record", text)
        return schema.empty_table(), [], [refused]
    middle = len(good) // 2
    left, kept, bad = _halving(good[:middle], schema, name)
    right, also_kept, also_bad = _halving(good[middle:], schema, name)
    return pa.concat_tables([conform(left, schema), conform(right, schema)]), kept + also_kept, bad + also_bad


def _joined(good: list[Line]) -> bytes:
    return b"\n".join(line.data for line in good)
