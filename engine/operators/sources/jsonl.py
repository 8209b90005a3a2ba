"""JSON lines: one object a line, plain or compressed (gzip, zstd).

Lines end with a line feed and nothing else: U+2028, U+0085 and the like inside strings are data, and the carriage
return of a CRLF is white space. A blank line is no record, but it is counted, so that record numbers are line numbers.
A byte-order mark at the start of the file is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from engine.operators.sources import _lines
from engine.operators.sources._reader import (
    BLOCK_BYTES,
    Block,
    Input,
    Reader,
    compression,
    open_bytes,
    readable,
)
from engine.operators.sources._sift import Lines

BOM = b"\xef\xbb\xbf"


class JsonlReader(Reader):
    """Reads `.jsonl` and `.ndjson` in blocks of lines; a record is a line, counted from 1."""

    version = 1
    suffixes = (".jsonl", ".ndjson")

    def scan(self, source: Input, known: pa.Schema) -> Iterator[pa.Schema]:
        """The columns after each block (the rule of types: `_lines.widen`)."""
        for lines in _cut(source):
            known = _lines.widen(known, lines, source.loosen)
            yield known

    def read(self, source: Input, schema: pa.Schema) -> Iterator[Block]:
        """A block for each block of lines."""
        for lines in _cut(source):
            yield _lines.read(schema, lines, source.loosen)

    def try_once(self, source: Input, known: pa.Schema) -> Iterator[Block]:
        """A block for each block of lines, parsed once."""
        return (_lines.read_known(known, lines, source.loosen) for lines in _cut(source))

    def count(self, source: Input) -> int | None:
        """Line feeds of a plain file: blank and bad lines included, so it may be a few too many."""
        path = source.file
        with readable(source):
            if compression(path):
                return None
            total, last = 0, b""
            with path.open("rb") as f:
                while chunk := f.read(BLOCK_BYTES):
                    total, last = total + chunk.count(b"\n"), chunk
            return total + (not last.endswith(b"\n") and last != b"")


def _cut(source: Input) -> Iterator[Lines]:
    """Blocks that end with a line feed; only the last one may lack it. A longer line makes a longer block."""
    first, rest = 1, [b""]
    with readable(source), open_bytes(source.file) as stream:
        start = stream.read(len(BOM))
        rest = [b"" if start == BOM else start]
        while chunk := stream.read(BLOCK_BYTES):
            end = chunk.rfind(b"\n") + 1
            if end == 0:
                rest.append(chunk)
                continue
            data = b"".join([*rest, chunk[:end]])
            yield Lines(data, first, source.name)
            first += data.count(b"\n")
            rest = [chunk[end:]]
    data = b"".join(rest)
    if data:
        yield Lines(data, first, source.name)


READER = JsonlReader()
