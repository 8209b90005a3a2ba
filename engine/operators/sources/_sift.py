"""JSON lines record by record: the path that a block takes when something in it is wrong or unusual.

It names every fault by record, field and reason, and keeps the lines of the good records for Arrow's parser. Speed
matters less here than that nothing is passed over: two keys of one name, a lone surrogate, a rounded integer.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from engine.errors import BadRecord
from engine.operators.sources._reader import TEXT_LIMIT, Loosen
from engine.schema import is_list, is_text

MAX_DEPTH = 100
"""Levels of lists and objects in a record; more is a bad record (Arrow's parser and Parquet recurse)."""
_ENCODER = json.JSONEncoder(ensure_ascii=False)

Problem = tuple[str, str]
"""A field's path and what is wrong with it."""


@dataclass(frozen=True)
class Lines:
    """Whole lines cut from a file; `first` is the record number of the first one. Blank lines have numbers too."""

    data: bytes
    first: int
    name: str  # of the file, for messages


class Line(NamedTuple):
    """A record that is an object: its number, its bytes without white space around, and its value."""

    number: int
    data: bytes
    value: dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    """The records that fit the columns, those that don't, and the columns as the good ones widened them."""

    good: list[Line]
    bad: list[BadRecord]
    schema: pa.Schema


class _NotJson(Exception):
    """A line that is not one JSON object; the message says why."""


def parse(lines: Lines, loosen: Loosen | None) -> tuple[list[Line], list[BadRecord]]:
    """The lines that hold one JSON object each, loosened, and the others as bad records."""
    good: list[Line] = []
    bad: list[BadRecord] = []
    pieces = lines.data.split(b"\n")
    for number, piece in enumerate(pieces, lines.first):
        data = piece.strip(b" \t\r")
        if not data:
            continue
        try:
            value = _object(data)
        except _NotJson as e:
            cut = number == lines.first + len(pieces) - 1
            reason = f"{e} (the last line, without a line feed: the file may be cut off)" if cut else str(e)
            bad.append(BadRecord(lines.name, number, "", reason, _text(data)))
            continue
        if loosen and loosen.apply(value):
            with suppress(UnicodeEncodeError):  # a lone surrogate: Arrow refuses the line as it is, `fitting` names it
                data = _ENCODER.encode(value).encode()
        good.append(Line(number, data, value))
    return good, bad


def fitting(good: Iterable[Line], known: pa.Schema, name: str) -> Fitted:
    """Hold each record against the columns known so far; one that fits widens them, one that doesn't is bad."""
    kind = pa.struct(list(known))
    kept: list[Line] = []
    bad: list[BadRecord] = []
    for line in good:
        problems: list[Problem] = []
        wider = _widen(kind, line.value, "", problems)
        if problems:
            bad.extend(BadRecord(name, line.number, field, why, _text(line.data)) for field, why in problems)
        else:
            kind = wider
            kept.append(line)
    return Fitted(kept, bad, pa.schema(list(kind)))


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(data.decode())
    except UnicodeDecodeError as e:
        raise _NotJson(f"not UTF-8: byte 0x{data[e.start]:02x} at position {e.start + 1}") from None
    except json.JSONDecodeError as e:
        raise _NotJson(f"not JSON: {e.msg.removesuffix(' at')} at character {e.pos + 1}") from None
    except ValueError:  # the interpreter's limit on the digits of an integer
        raise _NotJson("an integer of thousands of digits") from None
    except RecursionError:
        raise _NotJson(f"nested deeper than {MAX_DEPTH} levels") from None
    if not isinstance(value, dict):
        raise _NotJson(f"{_kind_of(value)}, not an object")
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise _NotJson(f"nested deeper than {MAX_DEPTH} levels")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise _NotJson(f"the key {twice!r} occurs twice in one object")
    return record


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys)


def _deeper_than(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper_than(child, levels - 1) for child in children)


def _widen(known: pa.DataType, value: Any, path: str, problems: list[Problem]) -> pa.DataType:
    """The type of a field after one more value; what doesn't fit is added to `problems` with its path."""
    if value is None:
        return known
    if isinstance(value, dict) and (pa.types.is_struct(known) or pa.types.is_null(known)):
        return _widen_struct(known, value, path, problems)
    if isinstance(value, list) and (is_list(known) or pa.types.is_null(known)):
        item = known.value_type if is_list(known) else pa.null()
        for i, element in enumerate(value):
            item = _widen(item, element, f"{path}[{i}]", problems)
        return pa.list_(item)
    if isinstance(value, dict | list):
        problems.append((path, _conflict(known, value)))
        return known
    return _widen_scalar(known, value, path, problems)


def _widen_struct(known: pa.DataType, value: dict[str, Any], path: str, problems: list[Problem]) -> pa.DataType:
    fields = {} if pa.types.is_null(known) else {f.name: f.type for f in known}
    for key, item in value.items():
        place = f"{path}.{key}" if path else key
        if not _encodes(key):
            problems.append((ascii(place)[1:-1], "the key holds a lone surrogate, which UTF-8 can't express"))
            continue
        fields[key] = _widen(fields.get(key, pa.null()), item, place, problems)
    return pa.struct(list(fields.items()))


def _widen_scalar(known: pa.DataType, value: Any, path: str, problems: list[Problem]) -> pa.DataType:
    own = _SCALARS[type(value)]
    reason = _unfit(value, pa.types.is_floating(known))
    if reason:
        problems.append((path, reason))
    elif pa.types.is_null(known) or (pa.types.is_integer(known) and pa.types.is_floating(own)):
        return own
    elif known != own and not (_is_number(known) and _is_number(own)):
        problems.append((path, _conflict(known, value)))
    return known


def _unfit(value: Any, among_floats: bool) -> str | None:
    """Why a value has no Arrow form, if so."""
    if isinstance(value, str):
        return None if _encodes(value) else "a lone surrogate, which UTF-8 can't express"
    if isinstance(value, float):
        return None if math.isfinite(value) else "NaN, Infinity or a number too large for 64 bits: not JSON"
    if isinstance(value, bool):
        return None
    if not -(2**63) <= value < 2**63:
        return "an integer beyond 64 bits (write it as text)"
    if among_floats and float(value) != value:
        return "an integer among floats that a float can't hold exactly (write it as text)"
    return None


_SCALARS: dict[type, pa.DataType] = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _conflict(known: pa.DataType, value: Any) -> str:
    return f"{_kind_of(value)}, where the records before hold {_kind_of_type(known)}"


def _kind_of(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _kind_of_type(kind: pa.DataType) -> str:
    if is_text(kind):
        return "text"
    if _is_number(kind):
        return "a number"
    if is_list(kind):
        return "a list"
    return "an object" if pa.types.is_struct(kind) else "true or false" if pa.types.is_boolean(kind) else str(kind)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")[:TEXT_LIMIT]
