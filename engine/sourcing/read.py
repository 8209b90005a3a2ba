"""Reading a source from end to end: blocks are shaped, given ids, and cut into parts; bad records are set aside.

The columns are settled before the first row is read, so that every part has the same schema: by one pass over the
inputs (cheap where files state their types), or, `once`, by their first records, whose columns mostly are those of all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pyarrow as pa

from engine.errors import BadRecord, BadRecordsError, SetwrightError
from engine.operators.sources._reader import TEXT_LIMIT, Block, Input, Reader
from engine.operators.sources._types import settled, solid
from engine.schema import ID_FIELDS, PARENT_ID, ROW_ID, empty_table
from engine.shapes import SHAPES, Problem, Shape, detect
from engine.sourcing.ahead import ahead
from engine.sourcing.files import Source, inputs
from engine.sourcing.ids import RowIds
from engine.sourcing.params import SourceParams
from engine.sourcing.parts import Parts, Rows, SourcePart


@dataclass(frozen=True)
class _Prepared:
    """A source whose columns are known: as they are read, and after shaping."""

    inputs: list[tuple[Reader, Input]]
    known: pa.Schema
    schema: pa.Schema
    shape: Shape
    shaped: pa.Schema


def peek(source: Source, params: SourceParams, *, complete: bool = False) -> pa.Schema:
    """The columns after shaping, without row_id and parent_id: as the first block shows, or all of the source.

    Raises:
        SetwrightError: an input can't be read, or the shape named isn't there.
    """
    shaped = _prepare(source, params, complete=complete).shaped
    return pa.schema([field for field in shaped if field.name not in (ROW_ID, PARENT_ID)])


def count(source: Source, params: SourceParams | None = None) -> int | None:
    """The number of records, bad ones included, where it is cheap to know for every input."""
    counts = [reader.count(found) for reader, found in inputs(source, params or SourceParams())]
    known = [rows for rows in counts if rows is not None]
    return sum(known) if len(known) == len(counts) else None


def read_once(source: Source, params: SourceParams, *, part_rows: int) -> Iterator[SourcePart]:
    """What `read` gives without a limit, parsing JSON lines once in the place of twice.

    Raises:
        Widened: (after some parts) the first records don't have all columns; the parts given so far are void.
    """
    prepared = _prepare(source, params, complete=False)
    attempts = [(found.name, reader.try_once(found, prepared.known)) for reader, found in prepared.inputs]
    if any(blocks is None for _, blocks in attempts):
        yield from read(source, params, part_rows=part_rows)
    else:
        blocks = ((name, block) for name, blocks in attempts for block in blocks or ())
        yield from _parts(prepared, params, blocks, None, part_rows)


def read(source: Source, params: SourceParams, *, limit: int | None = None, part_rows: int) -> Iterator[SourcePart]:
    """All rows in parts of `part_rows` (the last one has what is left), at least one part, of one schema.

    Args:
        source: what `resolve` found.
        params: the node's parameters.
        limit: stop after so many good rows.
        part_rows: rows of a part.

    Raises:
        BadRecordsError: with `on_bad: error`, after the end of the source, for all bad records.
        SetwrightError: an input can't be read, the shape named isn't there, or there is no good record at all.
    """
    prepared = _prepare(source, params, complete=True)
    blocks = ((found.name, block) for reader, found in prepared.inputs for block in reader.read(found, prepared.schema))
    yield from _parts(prepared, params, blocks, limit, part_rows)


def _parts(
    prepared: _Prepared,
    params: SourceParams,
    blocks: Iterable[tuple[str, Block]],
    limit: int | None,
    part_rows: int,
) -> Iterator[SourcePart]:
    ids = RowIds(prepared.shape.content, prepared.shaped)
    parts = Parts(_with_ids(prepared.shaped), part_rows, limit)
    listed: list[BadRecord] = []
    for name, block in ahead(blocks):
        bad = parts.add(_rows(block, prepared, name, ids))
        listed += bad if params.on_bad == "error" else []
        yield from parts.full()
        if parts.complete:
            break
    if listed:
        raise BadRecordsError(listed)
    yield from parts.rest()


def _prepare(source: Source, params: SourceParams, *, complete: bool) -> _Prepared:
    found = inputs(source, params)
    known = _columns(found, complete=complete)
    schema = settled(known)
    if not schema.names:
        _nothing(source, params, found)
    empty = solid(empty_table(schema))
    shape = _shape(source, params, empty.schema)
    return _Prepared(found, known, schema, shape, shape.fill(empty)[0].schema)


def _columns(found: list[tuple[Reader, Input]], *, complete: bool) -> pa.Schema:
    known = pa.schema([])
    for reader, source_input in found:
        for columns in reader.scan(source_input, known):
            known = columns
            if known.names and not complete:
                return known
    return known


def _nothing(source: Source, params: SourceParams, found: list[tuple[Reader, Input]]) -> NoReturn:
    """No column is known: there is no good record at all."""
    blocks = (block for reader, source_input in found for block in reader.read(source_input, pa.schema([])))
    bad = [record for block in blocks for record in block.bad]
    if bad and params.on_bad == "error":
        raise BadRecordsError(bad)
    raise SetwrightError(
        f"{source.text} holds no record that can be read ({len(bad)} bad)", cure="look at the file, or set format"
    )


def _shape(source: Source, params: SourceParams, schema: pa.Schema) -> Shape:
    if params.shape is None:
        return detect(schema)
    shape = SHAPES[params.shape]
    if not shape.detect(schema):
        columns = ", ".join(f"{field.name}: {field.type}" for field in schema)
        raise SetwrightError(
            f"{source.text} hasn't the shape {shape.name}, which needs {shape.needs}; it has {columns}",
            cure="leave shape out to have it detected, or set it to raw to take the columns as they are",
        )
    return shape


def _with_ids(shaped: pa.Schema) -> pa.Schema:
    return pa.schema([*ID_FIELDS, *(field for field in shaped if field.name not in (ROW_ID, PARENT_ID))])


def _rows(block: Block, prepared: _Prepared, name: str, ids: RowIds) -> Rows:
    """A block's good rows, shaped and with their ids, and all its bad records in order."""
    found = solid(block.table)
    filled, problems = prepared.shape.fill(found)
    keep = _without(problems, len(filled))
    filled, records = filled.filter(keep), block.records[keep]
    given, faults = ids.give(filled)
    bad = [*block.bad, *_named(problems, found, block.records, name), *_named(faults, filled, records, name)]
    parents = filled[PARENT_ID] if PARENT_ID in filled.column_names else pa.nulls(len(filled), pa.string())
    columns = {**{name: filled[name] for name in filled.column_names}, ROW_ID: given, PARENT_ID: parents}
    schema = _with_ids(filled.schema)
    table = pa.table([columns[name] for name in schema.names], schema=schema)
    keep = _without(faults, len(table))
    return Rows(table.filter(keep), records[keep], sorted(bad, key=lambda record: record.record))


def _without(problems: list[Problem], rows: int) -> np.ndarray:
    keep = np.ones(rows, bool)
    keep[[problem.row for problem in problems]] = False
    return keep


def _named(problems: list[Problem], table: pa.Table, records: np.ndarray, name: str) -> list[BadRecord]:
    """Problems of rows as bad records, with the row as JSON for its text."""
    found = []
    for row, field, reason in problems:
        text = json.dumps(table.slice(row, 1).to_pylist()[0], ensure_ascii=False, default=str)
        found.append(BadRecord(name, int(records[row]), field, reason, text[:TEXT_LIMIT]))
    return found
