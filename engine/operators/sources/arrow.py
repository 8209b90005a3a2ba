"""Arrow IPC files and streams (also Feather), plain or compressed as a whole, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from engine.operators.sources._reader import (
    BATCH_ROWS,
    Block,
    Input,
    Reader,
    compression,
    open_bytes,
    readable,
    record_numbers,
)
from engine.operators.sources._types import conform, normal_schema, unify_inputs

_FILE_MAGIC = b"ARROW1"


class ArrowReader(Reader):
    """Reads `.arrow`, `.feather` and `.ipc`; a record is a row, counted from 1 in the order of the batches."""

    version = 1
    suffixes = (".arrow", ".feather", ".ipc")

    def scan(self, source: Input, known: pa.Schema) -> Iterator[pa.Schema]:
        """One step: the file's own schema."""
        with readable(source), _batches(source) as (own, _):
            pass
        yield unify_inputs(known, normal_schema(own, source), source)

    def read(self, source: Input, schema: pa.Schema) -> Iterator[Block]:
        """The file's batches, cut to at most `BATCH_ROWS` rows."""
        first = 1
        with readable(source), _batches(source) as (_, batches):
            for batch in batches:
                for start in range(0, len(batch), BATCH_ROWS):
                    table = conform(pa.Table.from_batches([batch.slice(start, BATCH_ROWS)]), schema)
                    yield Block(table, record_numbers(first, len(table)))
                    first += len(table)

    def count(self, source: Input) -> int | None:
        """Known for a plain file, whose footer lists its batches; a stream has no count."""
        with readable(source):
            if not _is_file(source):
                return None
            with pa.memory_map(str(source.file)) as f:
                return int(pa.ipc.open_file(f).count_rows())


def _is_file(source: Input) -> bool:
    """Whether the input is an uncompressed IPC file (random access), as against a stream."""
    path = source.file
    if compression(path):
        return False
    with path.open("rb") as f:
        return f.read(len(_FILE_MAGIC)) == _FILE_MAGIC


@contextmanager
def _batches(source: Input) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """The schema and the batches of a file (mapped, not loaded), a stream, or a compressed one of either."""
    if _is_file(source):
        with pa.memory_map(str(source.file)) as f:
            reader = pa.ipc.open_file(f)
            yield reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
        return
    with open_bytes(source.file) as f:
        head = f.read(len(_FILE_MAGIC))
        if head == _FILE_MAGIC:  # a compressed file has no random access: it has to be loaded
            whole = pa.ipc.open_file(pa.BufferReader(head + f.read()))
            yield whole.schema, (whole.get_batch(i) for i in range(whole.num_record_batches))
        else:
            with open_bytes(source.file) as stream:
                reader = pa.ipc.open_stream(stream)
                yield reader.schema, iter(reader)


READER = ArrowReader()
