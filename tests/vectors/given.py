"""Vectors that tests share, some with many ties: `from vectors.given import MATRICES, ordered`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.vectors.ordered import Ordered
from engine.vectors.unit import UnitVectors


def column(matrix: np.ndarray) -> pa.ChunkedArray:
    """The rows as embeddings, in two chunks."""
    cuts = np.split(matrix.astype(np.float32), [len(matrix) // 3])
    kind = pa.list_(pa.float32(), matrix.shape[1])
    return pa.chunked_array([pa.FixedSizeListArray.from_arrays(pa.array(cut.ravel()), type=kind) for cut in cuts])


def ordered(matrix: np.ndarray, order: np.ndarray | None = None) -> Ordered:
    """The rows in an order, by default their own."""
    return Ordered(UnitVectors(column(matrix)), np.arange(len(matrix)) if order is None else order)


def exact(rows: Ordered) -> np.ndarray:
    """All pairs' similarities, computed one by one."""
    n = len(rows)
    one, other = np.divmod(np.arange(n * n), n)
    return rows.similarities(one, other).reshape(n, n)


def _matrices() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 2, (220, 6)).astype(float)
    return {
        "of all directions": rng.normal(size=(300, 12)),
        "with many equal angles": corners[corners.any(axis=1)],
        "with copies": rng.normal(size=(50, 5))[rng.integers(0, 50, 250)],
        "of one direction": np.ones((120, 4)) * rng.uniform(0.1, 9, (120, 1)),
    }


MATRICES = _matrices()
