"""`select: random`: a random sample that depends on the seed and the rows' ids alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from engine.operator import Context, Params, selector
from engine.operators.selectors._verdict import ranked, verdict
from engine.schema import ROW_ID, mix64

NOT_DRAWN = "not_drawn"


class RandomParams(Params):
    """Either `k`, a number of rows, or `share`, a part of the table in (0, 1]."""

    k: int | None = Field(None, ge=1)
    share: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_of_two(self) -> RandomParams:
        if (self.k is None) == (self.share is None):
            raise ValueError("give either k (a number of rows) or share (a part of the table), not both")
        return self

    def count(self, n: int) -> int:
        """How many of n rows are drawn; a share is rounded to the nearest whole row."""
        if self.share is not None:
            return round(self.share * n)
        assert self.k is not None
        return self.k


def _gives(params: RandomParams, rows: int) -> tuple[int, int]:
    drawn = min(params.count(rows), rows)
    return drawn, drawn


@selector(params=RandomParams, reads={}, seeded=True, gives=_gives)
def random(batch: pa.Table, params: RandomParams, ctx: Context) -> pa.Table:
    """Draws k rows, or a share of the table, without replacement and with equal chances.

    Every row has a number that follows from the seed and its id, and the lowest numbers win. So the sample does not
    depend on the order of the rows, a smaller one is part of a larger one, and new rows displace only few.
    """
    keys = pa.array(draw_keys(batch[ROW_ID], ctx.seed))
    order = ranked(batch.append_column("draw", keys), "draw", "asc")
    reasons = pa.repeat(NOT_DRAWN, batch.num_rows)
    return verdict(batch[ROW_ID], order[: params.count(batch.num_rows)], reasons)


def draw_keys(row_ids: pa.ChunkedArray, seed: int) -> np.ndarray:
    """A number for each id, uint64 [n], equally likely to be any; the same on every machine.

    The bytes of an id are mixed into the seed 8 at a time, after its length, so that the zeros that fill up the last
    8 can't make two ids alike.
    """
    starts, lengths, data = _utf8(row_ids)
    eight_bytes = np.ndarray(len(data) - 7, "<u8", data, strides=(1,))  # those that begin at each byte
    keys = _step(_step(np.full(len(lengths), seed % 2**64, np.uint64)) ^ lengths.astype(np.uint64))
    for at in range(0, int(lengths.max(initial=0)), 8):
        longer = np.flatnonzero(lengths > at)
        beyond = 8 * np.maximum(at + 8 - lengths[longer], 0)  # bits after the end of the id
        piece = eight_bytes[starts[longer] + at] << beyond.astype(np.uint64)
        keys[longer] = _step(keys[longer] ^ piece)
    return keys


def _utf8(strings: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each string begins, its length, and the bytes they stand in, with 8 more at the end."""
    column = pa.concat_arrays(strings.cast(pa.large_string()).chunks or [pa.array([], pa.large_string())])
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    text = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    return bounds[:-1], np.diff(bounds), np.concatenate([text, np.zeros(8, np.uint8)])


def _step(x: np.ndarray) -> np.ndarray:
    """One step of splitmix64 (Steele et al. 2014)."""
    return mix64(x + np.uint64(0x9E3779B97F4A7C15))
