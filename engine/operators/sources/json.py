"""A JSON file: one array of objects, or a single object.

The file is read as a whole. Its elements are cut apart and then read like JSON lines, so that both formats have the
same rules and name faults in the same way; the record number is the element's place in the array.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pyarrow as pa

from engine.errors import BadRecord, SetwrightError
from engine.operators.sources import _lines
from engine.operators.sources._reader import (
    BLOCK_BYTES,
    TEXT_LIMIT,
    Block,
    Input,
    Reader,
    open_bytes,
    readable,
    record_numbers,
)
from engine.operators.sources._sift import Lines

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)  # only where a value ends is of interest
_SPACE = re.compile(r"[ \t\r\n]*")
_EMPTY_ARRAY = re.compile(r"\[[ \t\r\n]*\][ \t\r\n]*")
_NEXT = re.compile(r"[ \t\r\n]*(?:,[ \t\r\n]*|(\])[ \t\r\n]*)")


class JsonReader(Reader):
    """Reads `.json`; a record is an element of the array, counted from 1."""

    version = 1
    suffixes = (".json",)

    def scan(self, source: Input, known: pa.Schema) -> Iterator[pa.Schema]:
        """The columns after each block of elements (the rule of types: `_lines.widen`)."""
        for piece in _cut(source):
            if isinstance(piece, Lines):
                known = _lines.widen(known, piece, source.loosen)
            yield known

    def read(self, source: Input, schema: pa.Schema) -> Iterator[Block]:
        """A block for each block of elements; where the array itself is broken, that is the file's last record."""
        for piece in _cut(source):
            if isinstance(piece, Lines):
                yield _lines.read(schema, piece, source.loosen)
            else:
                yield Block(schema.empty_table(), record_numbers(1, 0), (piece,))


class _Broken(Exception):
    """The array breaks off at `position`: no element after it can be told apart."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


def _cut(source: Input) -> Iterator[Lines | BadRecord]:
    """The elements in blocks of lines; last the place where the array breaks, if it does."""
    with readable(source), open_bytes(source.file) as f:
        # Bytes that are not UTF-8 survive as surrogates, so that the record that holds them can be named.
        text = f.read().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    number, lines, size = 1, [], 0
    try:
        for element in _elements(text, source):
            lines.append(element)
            size += len(element)
            if size > BLOCK_BYTES:
                yield _block(lines, number, source)
                number, lines, size = number + len(lines), [], 0
        fault = None
    except _Broken as e:
        found = text[e.position : e.position + TEXT_LIMIT].encode("utf-8", "surrogateescape")
        reason = f"{e}; no element from here on can be told apart"
        fault = BadRecord(source.name, number + len(lines), "", reason, found.decode("utf-8", "backslashreplace"))
    if lines:
        yield _block(lines, number, source)
    if fault:
        yield fault


def _block(lines: list[str], number: int, source: Input) -> Lines:
    return Lines("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"), number, source.name)


def _elements(text: str, source: Input) -> Iterator[str]:
    """Each element's own text, on one line (a line feed can't stand inside a JSON string: all of them are space)."""
    start = _past(_SPACE, text, 0)
    if text[start : start + 1] != "[":
        yield from _single(text, start, source)
    elif not _EMPTY_ARRAY.fullmatch(text, start):
        yield from _array(text, start + 1)


def _single(text: str, start: int, source: Input) -> Iterator[str]:
    end = _value_end(text, start)
    if _past(_SPACE, text, end) < len(text):
        raise SetwrightError(
            f"{source.name} holds more than one value, and not in an array",
            cure="if it holds JSON lines, set format: jsonl",
        )
    yield _one_line(text[start:end])


def _array(text: str, at: int) -> Iterator[str]:
    at = _past(_SPACE, text, at)
    ended = False
    while not ended:
        end = _value_end(text, at)
        yield _one_line(text[at:end])
        step = _NEXT.match(text, end)
        if step is None:
            raise _Broken(end, "expected ',' or ']' before this element")
        at, ended = step.end(), step[1] is not None
    if at < len(text):
        raise _Broken(at, "text after the end of the array")


def _value_end(text: str, at: int) -> int:
    try:
        return _DECODER.raw_decode(text, at)[1]
    except json.JSONDecodeError as e:
        raise _Broken(at, f"not JSON: {e.msg.removesuffix(' at')} at line {e.lineno}, column {e.colno}") from None
    except RecursionError:
        raise _Broken(at, "nested too deeply") from None


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")


READER = JsonReader()
