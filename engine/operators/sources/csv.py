"""CSV as in RFC 4180: commas, double quotes, line feeds allowed inside quotes, a header line.

CSV states no types. A column is read as integers or floats only if that loses nothing: every filled cell must be a
number of at most 15 digits in its plain form. So `007`, `1e5`, `1.50`, dates and long account numbers stay text. An
empty cell is null in a number column and the empty text in any other. Blank lines are no records.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import BadRecord, SetwrightError
from engine.operators.sources._reader import (
    BATCH_ROWS,
    TEXT_LIMIT,
    Block,
    Input,
    Reader,
    open_bytes,
    readable,
)
from engine.operators.sources._types import conform, normal_schema

_INTEGER = r"^(0|-?[1-9][0-9]{0,14})$"
_NUMBER = r"^(0|-?[1-9][0-9]{0,14}|-?(0|[1-9][0-9]*)\.([0-9]*[1-9]|0))$"
_NUMBER_LENGTH = 16  # 15 digits and a point: a double holds them exactly enough to be written the same again


class CsvReader(Reader):
    """Reads `.csv` in batches of rows; a record is a row under the header, counted from 1."""

    version = 1
    suffixes = (".csv",)

    def scan(self, source: Input, known: pa.Schema) -> Iterator[pa.Schema]:
        """The columns after each batch: a column that is not numbers throughout is text."""
        types = {field.name: field.type for field in known}
        for batch in _batches(source):
            for name, values in batch.columns.items():
                types[name] = _widen(types.get(name), _type_of(values))
            yield pa.schema(list(types.items()))

    def read(self, source: Input, schema: pa.Schema) -> Iterator[Block]:
        """A block for each batch of rows."""
        for batch in _batches(source):
            with readable(source):
                arrays = {n: _typed(values, schema.field(n).type) for n, values in batch.columns.items()}
                table = conform(pa.table(arrays), schema)
            yield Block(table, np.array(batch.numbers, dtype=np.int64), tuple(batch.bad))


@dataclass(frozen=True)
class _Batch:
    columns: dict[str, pa.Array]  # text
    numbers: list[int]  # of the good rows
    bad: list[BadRecord]


_Numbered = tuple[int, list[str] | csv.Error]
"""A row under its number, or the error that it raised."""


def _batches(source: Input) -> Iterator[_Batch]:
    """The file's rows in batches; at least one, so that a file without rows has its columns."""
    csv.field_size_limit(sys.maxsize)  # the module's own limit of 128 kB is shorter than many a text
    with readable(source), open_bytes(source.file) as stream:
        # Bytes that are not UTF-8 survive as surrogates, so that the row that holds them can be named.
        lines = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(lines, strict=True)
        names = _header(reader, source)
        rows = _numbered(reader)
        chunk = list(islice(rows, BATCH_ROWS))
        yield _batch(names, chunk, source)
        while chunk := list(islice(rows, BATCH_ROWS)):
            yield _batch(names, chunk, source)


def _header(reader: Iterator[list[str]], source: Input) -> list[str]:
    try:
        names = next(reader, [])
        "".join(names).encode()
    except (csv.Error, UnicodeEncodeError):
        raise SetwrightError(
            f"{source.name}: the header line is not CSV in UTF-8", cure="mend the first line"
        ) from None
    if not names or "" in names:
        raise SetwrightError(f"{source.name}: the first line must name every column", cure="add a header line")
    return list(normal_schema(pa.schema([(name, pa.string()) for name in names]), source).names)


def _numbered(reader: Iterator[list[str]]) -> Iterator[_Numbered]:
    """The rows that are not blank, numbered from 1."""
    number = 0
    while True:
        try:
            row: list[str] | csv.Error = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            row = e
        if row != []:
            number += 1
            yield number, row


def _batch(names: Sequence[str], chunk: Sequence[_Numbered], source: Input) -> _Batch:
    reasons = [_reason(row, len(names)) for _, row in chunk]
    try:
        return _assemble(names, chunk, reasons, source)
    except UnicodeEncodeError:  # looked for row by row only when there is one
        reasons = [reason or _not_utf8(row) for (_, row), reason in zip(chunk, reasons, strict=True)]
        return _assemble(names, chunk, reasons, source)


def _assemble(names: Sequence[str], chunk: Sequence[_Numbered], reasons: Sequence[str | None], source: Input) -> _Batch:
    good = [numbered for numbered, reason in zip(chunk, reasons, strict=True) if reason is None]
    bad = [
        BadRecord(source.name, number, "", reason, _text(row))
        for (number, row), reason in zip(chunk, reasons, strict=True)
        if reason is not None
    ]
    cells = zip(*(row for _, row in good), strict=True) if good else ((),) * len(names)
    columns = {name: pa.array(values, pa.string()) for name, values in zip(names, cells, strict=True)}
    return _Batch(columns, [number for number, _ in good], bad)


def _reason(row: list[str] | csv.Error, width: int) -> str | None:
    if isinstance(row, csv.Error):
        return f"not CSV: {row}"
    return None if len(row) == width else f"a row of {len(row)}, where the header names {width} columns"


def _not_utf8(row: list[str] | csv.Error) -> str | None:
    return "not UTF-8" if isinstance(row, list) and any(not _encodes(cell) for cell in row) else None


def _encodes(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(row: list[str] | csv.Error) -> str:
    text = "" if isinstance(row, csv.Error) else ",".join(row)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")[:TEXT_LIMIT]


def _type_of(values: pa.Array) -> pa.DataType | None:
    """What the filled cells are throughout; None where no cell is filled."""
    filled = values.filter(pc.not_equal(values, ""))
    if len(filled) == 0:
        return None
    if pc.all(pc.match_substring_regex(filled, _INTEGER)).as_py():
        return pa.int64()
    short = pc.less_equal(pc.utf8_length(filled), _NUMBER_LENGTH)
    numbers = pc.and_(short, pc.match_substring_regex(filled, _NUMBER))
    return pa.float64() if pc.all(numbers).as_py() else pa.string()


def _widen(known: pa.DataType | None, found: pa.DataType | None) -> pa.DataType:
    if found is None or known is None:
        return known or found or pa.string()
    return found if known == found else pa.float64() if {known, found} == {pa.int64(), pa.float64()} else pa.string()


def _typed(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return values
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values).cast(kind)


READER = CsvReader()
