"""Random draws that depend on a seed and the rows' ids alone, so on no order, cut or machine."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.schema import digest


def draw(seed: int, row_id: str, k: int = 0) -> int:
    """A 63-bit number for the k-th random draw of a row; the same on every machine and in every order."""
    return int(digest("draw", str(seed), row_id, str(k), size=8), 16) >> 1


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


def waiting_times(row_ids: pa.ChunkedArray, seed: int) -> np.ndarray:
    """An exponential waiting time for each id, float64 [n]; times w it is one at the rate 1 / w.

    Of those who wait at rates of their own, the next to come is each with a chance in proportion to its rate: the
    first k are a sample without replacement (Efraimidis & Spirakis 2006).
    """
    uniform = ((draw_keys(row_ids, seed) >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52  # never 0 or 1
    waits: np.ndarray = -np.log(uniform)
    return waits


def mix64(x: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64 (Steele et al. 2014), uint64 [n]: every bit in moves every bit out."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed


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
