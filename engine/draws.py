"""Random draws that depend on a seed and the rows' ids alone, so on no order, cut or machine."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.schema import digest
from engine.texts.hashing import hash64


def draw(seed: int, row_id: str, k: int = 0) -> int:
    """A 63-bit number for the k-th random draw of a row; the same on every machine and in every order."""
    return int(digest("draw", str(seed), row_id, str(k), size=8), 16) >> 1


def draw_keys(row_ids: pa.ChunkedArray, seed: int) -> np.ndarray:
    """A number for each id, uint64 [n], equally likely to be any; the same on every machine."""
    return hash64(row_ids, seed)


def waiting_times(row_ids: pa.ChunkedArray, seed: int) -> np.ndarray:
    """An exponential waiting time for each id, float64 [n]; times w it is one at the rate 1 / w.

    Of those who wait at rates of their own, the next to come is each with a chance in proportion to its rate: the
    first k are a sample without replacement (Efraimidis & Spirakis 2006).
    """
    uniform = ((draw_keys(row_ids, seed) >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52  # never 0 or 1
    waits: np.ndarray = -np.log(uniform)
    return waits
