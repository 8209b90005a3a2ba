"""What selections of one table are like: what they share, what they cover, how much they repeat, what they score.

Where vectors are compared, the rows of the table are represented by those with the lowest draws, so that measures of
ten million rows take seconds, and are the same whatever the order of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.draws import draw_keys
from engine.relation import Reader
from engine.schema import ROW_ID
from engine.vectors.cells import assign, kmeans
from engine.vectors.unit import UnitVectors

SAMPLE = 4000
"""Rows that stand for the table, and at most so many for a selection, where vectors are compared."""

CELLS = 32
BLOCK = 1024
NEAR = 0.9
"""From this cosine on, a row repeats another one (the limit of deita's filter)."""


@dataclass(frozen=True)
class Measures:
    """A selection, or the table itself. What needs a column that isn't there is None.

    Attributes:
        rows: how many.
        score: the mean of the score.
        coverage: the mean over the table's rows of the cosine to the nearest selected row.
        redundancy: the share of selected rows with another one nearer than `NEAR`.
        clusters: the effective number of the table's clusters that it holds: exp of the entropy of their shares.
        groups: the share of each source, the largest first.
    """

    rows: int
    score: float | None
    coverage: float | None
    redundancy: float | None
    clusters: float | None
    groups: Mapping[str, float]


@dataclass(frozen=True)
class Columns:
    """The columns that measures are made of, where the table has them."""

    embedding: str | None
    score: str | None
    by: str | None


class Yardstick:
    """Measures selections of one table.

    Args:
        table: the table.
        columns: its columns to measure by.
        scores: float64 [n], the score of each row, NaN where it has none; None where there is no score.
        seed: of the sample and the clusters.
    """

    def __init__(self, table: Reader, columns: Columns, scores: np.ndarray | None, seed: int) -> None:
        self._scores = scores
        self._ids = table.table([ROW_ID])[ROW_ID]
        self._everyone = np.arange(len(self._ids))
        self._groups = None if columns.by is None else table.table([columns.by])[columns.by].cast(pa.string())
        self._space = None if columns.embedding is None else Space(table, columns.embedding, self._ids, seed)

    def everything(self) -> Measures:
        """The table itself."""
        return self._measure(self._everyone)

    def selection(self, picks: Reader) -> tuple[np.ndarray, Measures]:
        """The positions in the table of the rows of a selection, and its measures."""
        positions = pc.index_in(picks.table([ROW_ID])[ROW_ID], value_set=self._ids.combine_chunks()).to_numpy()
        return positions, self._measure(positions)

    def _measure(self, positions: np.ndarray) -> Measures:
        coverage, redundancy, clusters = (None, None, None) if self._space is None else self._space.measure(positions)
        score = None if self._scores is None else _mean(self._scores[positions])
        groups = {} if self._groups is None else shares(self._groups.take(pa.array(positions)))
        return Measures(len(positions), score, coverage, redundancy, clusters, groups)


class Space:
    """The vectors of a table, of which a sample stands for all."""

    def __init__(self, table: Reader, column: str, ids: pa.ChunkedArray, seed: int) -> None:
        self._table, self._column, self._ids = table, column, ids
        self._keys = draw_keys(ids, seed)
        self._sample = self._vectors(np.arange(len(ids)))
        self._centroids = kmeans(self._sample, CELLS, seed=seed) if len(self._sample) else self._sample

    def measure(self, positions: np.ndarray) -> tuple[float | None, float | None, float | None]:
        """`coverage`, `redundancy` and `clusters` of the rows at these positions; None where none has a vector."""
        vectors = self._vectors(positions)
        if not len(vectors):
            return None, None, None
        cells, _ = assign(vectors, self._centroids)
        coverage = float(nearest(self._sample, vectors).mean())
        redundancy = float((nearest(vectors, vectors, itself=False) > NEAR).mean())
        return coverage, redundancy, effective(np.bincount(cells))

    def _vectors(self, positions: np.ndarray) -> np.ndarray:
        """The unit vectors of at most `SAMPLE` of these rows, those with the lowest draws, in the order of row_id."""
        chosen = np.sort(positions[np.argsort(self._keys[positions], kind="stable")[:SAMPLE]])
        found, start = [], 0
        for part in self._table.parts([self._column]):
            low, high = np.searchsorted(chosen, [start, start + part.num_rows])
            found.append(part.take(pa.array(chosen[low:high] - start)))
            start += part.num_rows
        read = UnitVectors(pa.concat_tables(found)[self._column])
        by_id = pc.sort_indices(self._ids.take(pa.array(chosen))).to_numpy().astype(np.int64)
        return read.rows(by_id[read.known[by_id]])


def nearest(rows: np.ndarray, others: np.ndarray, *, itself: bool = True) -> np.ndarray:
    """The cosine of each row to the nearest of the others, float32 [n]; `itself=False` where both are the same rows."""
    best = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        products = rows[start : start + BLOCK] @ others.T
        if not itself:
            within = np.arange(len(products))
            products[within, within + start] = -1
        best[start : start + BLOCK] = products.max(axis=1)
    return best


def effective(counts: np.ndarray) -> float:
    """The number of equally large clusters with the same entropy."""
    parts = counts[counts > 0] / counts.sum()
    return float(np.exp(-(parts * np.log(parts)).sum()))


def shares(groups: pa.ChunkedArray) -> dict[str, float]:
    """The share of each value, the largest first; equal ones by name."""
    counted = [(str(c["values"]), c["counts"]) for c in pc.value_counts(groups).to_pylist()]
    return {name: n / len(groups) for name, n in sorted(counted, key=lambda pair: (-pair[1], pair[0]))}


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the smaller selection's rows that are in the larger one, too."""
    smaller = min(len(one), len(other))
    return len(np.intersect1d(one, other)) / smaller if smaller else 0.0


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
