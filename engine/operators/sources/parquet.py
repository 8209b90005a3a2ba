"""Parquet files, row group by row group. The file states its types; a damaged file is an error of the file."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from engine.operators.sources._reader import (
    BATCH_ROWS,
    BLOCK_BYTES,
    Block,
    Input,
    Reader,
    readable,
    record_numbers,
)
from engine.operators.sources._types import conform, normal_schema, unify_inputs


class ParquetReader(Reader):
    """Reads `.parquet`; a record is a row, counted from 1 in the order of the row groups."""

    version = 1
    suffixes = (".parquet", ".pq")

    def scan(self, source: Input, known: pa.Schema) -> Iterator[pa.Schema]:
        """One step: the file's own schema."""
        with readable(source):
            own = pq.read_schema(source.file)
        yield unify_inputs(known, normal_schema(own, source), source)

    def read(self, source: Input, schema: pa.Schema) -> Iterator[Block]:
        """Batches of at most `BATCH_ROWS` rows, and fewer where rows are long."""
        first = 1
        with readable(source), pq.ParquetFile(source.file) as file:
            for group in range(file.num_row_groups):  # a batch over two groups can't hold nested dictionaries
                rows = _batch_rows(file.metadata.row_group(group))
                for batch in file.iter_batches(batch_size=rows, row_groups=[group]):
                    table = conform(pa.Table.from_batches([batch]), schema)
                    yield Block(table, record_numbers(first, len(table)))
                    first += len(table)

    def count(self, source: Input) -> int | None:
        """From the file's metadata."""
        with readable(source):
            return int(pq.read_metadata(source.file).num_rows)


def _batch_rows(group: pq.RowGroupMetaData) -> int:
    """So many rows of a row group as make a block of bytes, by their mean length."""
    by_length = BLOCK_BYTES * group.num_rows // max(1, group.total_byte_size)
    return int(max(1, min(BATCH_ROWS, by_length)))


READER = ParquetReader()
