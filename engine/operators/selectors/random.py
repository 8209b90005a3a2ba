"""`select: random`: a random sample that depends on the seed and the rows' ids alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from engine.operator import Context, Params, selector
from engine.operators.selectors._verdict import ranked, verdict
from engine.schema import ROW_ID

NOT_DRAWN = "not_drawn"
_WORD = 8  # bytes


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
        return self.k if self.k is not None else round((self.share or 0) * n)


@selector(params=RandomParams, reads={}, seeded=True)
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
    """uint64 [n]: a number for each id, equally likely to be any; the same on every machine.

    The id's bytes are mixed into the seed in words of 8 (splitmix64's finalizer: Steele et al. 2014, section 3),
    after its length, so that the zeros that fill the last word can't make two ids alike.
    """
    ids = row_ids.cast(pa.large_string()).combine_chunks()
    ids = ids.chunk(0) if isinstance(ids, pa.ChunkedArray) else ids
    _, offsets, data = ids.buffers()
    starts = np.frombuffer(offsets, np.int64, len(ids) + 1, ids.offset * 8)
    lengths = np.diff(starts)
    raw = (
        np.concatenate([np.frombuffer(data, np.uint8), np.zeros(_WORD, np.uint8)])
        if data
        else np.zeros(_WORD, np.uint8)
    )
    words = np.ndarray(len(raw) - _WORD + 1, "<u8", raw, strides=(1,))  # the word at every byte
    keys = _mix(_mix(np.full(len(ids), seed % 2**64, np.uint64)) ^ lengths.astype(np.uint64))
    for at in range(0, int(lengths.max(initial=0)), _WORD):
        live = np.flatnonzero(lengths > at)
        spare = 8 * (_WORD - np.minimum(lengths[live] - at, _WORD)).astype(np.uint64)  # bits after the id's end
        word = words[starts[live] + at] << spare
        keys[live] = _mix(keys[live] ^ word)
    return keys


def _mix(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
