"""Numbers for strings that follow from their bytes alone: the same on every machine and in every order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio


def hash64(strings: pa.ChunkedArray | pa.Array, seed: int = 0) -> np.ndarray:
    """A number for each string (none may be null), uint64 [n], equally likely to be any.

    The bytes of a string are mixed into the seed 8 at a time, after its length, so that the zeros that fill up the last
    8 can't make two strings alike. The cost is that of the bytes, and a step for every 8 bytes of the longest string.
    """
    starts, lengths, data = _utf8(strings)
    eight_bytes = np.ndarray(len(data) - 7, "<u8", data, strides=(1,))  # those that begin at each byte
    hashes = step(step(np.full(len(lengths), seed % 2**64, np.uint64)) ^ lengths.astype(np.uint64))
    for at in range(0, int(lengths.max(initial=0)), 8):
        longer = np.flatnonzero(lengths > at)
        beyond = 8 * np.maximum(at + 8 - lengths[longer], 0)  # bits after the end of the string
        piece = eight_bytes[starts[longer] + at] << beyond.astype(np.uint64)
        hashes[longer] = step(hashes[longer] ^ piece)
    return hashes


def step(x: np.ndarray) -> np.ndarray:
    """One step of splitmix64 (Steele et al. 2014), uint64 [n]."""
    return mix64(x + np.uint64(GOLDEN))


def mix64(x: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64 (Steele et al. 2014), uint64 [n]: every bit in moves every bit out."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed


def _utf8(strings: pa.ChunkedArray | pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each string begins, its length, and the bytes they stand in, with 8 more at the end."""
    chunks = strings.chunks if isinstance(strings, pa.ChunkedArray) else [strings]
    column = pa.concat_arrays([pa.array([], pa.large_string()), *(chunk.cast(pa.large_string()) for chunk in chunks)])
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    text = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    return bounds[:-1], np.diff(bounds), np.concatenate([text, np.zeros(8, np.uint8)])
