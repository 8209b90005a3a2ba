"""Search by inner product with FAISS: the only file that knows it. On every GPU that it reports, else on the CPU.

Products are float32 and come as the hardware rounds them; what depends on the last digits is decided by the callers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

NOTHING = -1  # stands for a hit where a search finds fewer than it was asked for


class Flat:
    """Exact search among rows that fit in memory."""

    def __init__(self, rows: np.ndarray) -> None:
        import faiss

        self._index = _on_gpus(faiss.IndexFlatIP(rows.shape[1]))
        self._index.add(np.ascontiguousarray(rows, np.float32))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k rows of the largest products with each query, the largest first; k is at most the number of rows.

        Returns:
            products: float32 [n, k].
            rows: int64 [n, k], their positions.
        """
        return _search(self._index, queries, k)


class Inverted:
    """Approximate search: rows stand in the cell of their nearest centroid, and a query looks into few cells.

    Rows are held in float32, so that of what is looked at nothing is lost. The centroids are given (see `cells`), so
    that no cell depends on FAISS's own training.
    """

    def __init__(self, centroids: np.ndarray, probes: int) -> None:
        import faiss

        cells, dim = centroids.shape
        self._quantizer = faiss.IndexFlatIP(dim)  # held here: FAISS itself holds no reference
        self._quantizer.add(np.ascontiguousarray(centroids, np.float32))
        index = faiss.IndexIVFFlat(self._quantizer, dim, cells, faiss.METRIC_INNER_PRODUCT)
        index.is_trained, index.nprobe = True, min(probes, cells)
        self._index = _on_gpus(index, shard=True)

    def add(self, rows: np.ndarray) -> None:
        """Puts float32 [any, dim] behind those that are there."""
        self._index.add(np.ascontiguousarray(rows, np.float32))

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `Flat.search`, among the rows of the probed cells; `NOTHING` where they hold fewer than k."""
        return _search(self._index, queries, k)


def _on_gpus(index: Any, *, shard: bool = False) -> Any:
    """The index on all GPUs, whole on each or in shards; itself where there is none."""
    import faiss

    if not getattr(faiss, "get_num_gpus", int)():
        return index
    options = faiss.GpuMultipleClonerOptions()
    options.shard = shard
    return faiss.index_cpu_to_all_gpus(index, co=options)


def _search(index: Any, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    products, rows = index.search(np.ascontiguousarray(queries, np.float32), k)
    return products, rows
