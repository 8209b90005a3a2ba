"""What operators over cells share: centroids learned from a sample of a table, and its vectors in an order of choice.

The table may be larger than memory. Its vectors are read part by part, several times.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.draws import draw_keys
from engine.operator import Rows
from engine.schema import ROW_ID
from engine.vectors.cells import cosines_to, kmeans, nearest_cells
from engine.vectors.disk import DiskTape, MemoryTape, Tape
from engine.vectors.unit import UnitVectors

HELD = 2 << 30
"""Bytes of embeddings that are held in memory; more of them go through the folder for scratch work."""

POINTS_PER_CELL = 64
"""Rows of the sample for each centroid: enough for a mean direction, and the sample of ten million rows stays small."""

LEAST_SAMPLE = 1 << 14
"""Rows of the sample where there are few cells."""


def usual_cells(rows: int) -> int:
    """The square root of the rows: finding a row's cell then takes as long as looking through it."""
    return max(1, round(math.sqrt(rows)))


def known_rows(rows: Rows) -> np.ndarray:
    """Which rows have a vector, bool [n]."""
    return np.concatenate([np.zeros(0, bool), *(UnitVectors(column).known for column in embeddings(rows))])


def learned_cells(rows: Rows, known: np.ndarray, cells: int | None, seed: int) -> np.ndarray:
    """Centroids of the rows that have a vector, float32 [at most cells, dim]; by default `usual_cells` of them."""
    cells = cells or usual_cells(known.sum())
    return kmeans(training_sample(rows, known, seed, max(POINTS_PER_CELL * cells, LEAST_SAMPLE)), cells, seed=seed)


def training_sample(rows: Rows, known: np.ndarray, seed: int, most: int) -> np.ndarray:
    """The unit vectors of those rows that the seed draws first, in the order of row_id: float32 [at most `most`, dim].

    Only rows with a vector are drawn (`known`, bool [n]). So the sample depends on no order or cut of the table.
    """
    ids = rows.whole()[ROW_ID]
    candidates = np.flatnonzero(known)
    first = np.argsort(draw_keys(ids.filter(pa.array(known)), seed), kind="stable")[:most]
    drawn = np.sort(candidates[first])
    sample = np.concatenate([unit for _, unit in unit_vectors(rows, drawn)] or [np.zeros((0, 1), np.float32)])
    by_id: np.ndarray = sample[pc.sort_indices(ids.take(pa.array(drawn))).to_numpy()]
    return by_id


def cells_of(rows: Rows, known: np.ndarray, centroids: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest cells of every row, and how near the nearest is.

    Returns:
        cells: int32 [n, at most k], the nearest first; -1 for a row without a vector.
        cosine: float32 [n], to the centroid of the first; 0 for a row without a vector.
    """
    cells = np.full((rows.num_rows, min(k, len(centroids))), -1, np.int32)
    cosine = np.zeros(rows.num_rows, np.float32)
    for positions, unit in unit_vectors(rows, np.flatnonzero(known)):
        cells[positions] = nearest_cells(unit, centroids, k)
        cosine[positions] = cosines_to(unit, centroids, cells[positions, 0])
    return cells, cosine


def by_cell(order: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of an order, cell after cell; inside a cell the order stays.

    Args:
        order: int64 [m], positions of rows that are in a cell.
        cells: int32 [n, k], the cells of every row; a row stands in each of its k cells.

    Returns:
        rows: int64 [m * k], positions.
        bounds: int64 [cells + 1], where each cell begins in it, and m * k.
    """
    of = cells[order].reshape(-1)
    sorted_ = np.argsort(of, kind="stable")
    bounds = np.searchsorted(of[sorted_], np.arange(of.max(initial=-1) + 2))
    return order[sorted_ // max(cells.shape[1], 1)], bounds


def arranged(rows: Rows, order: np.ndarray, scratch: Path) -> Tape:
    """The vectors of the rows in this order, int64 [m], in memory where they fit and else by way of a file."""
    kind = next(embeddings(rows)).type if rows.num_rows else rows.whole("embedding")["embedding"].type
    if rows.num_rows * kind.list_size * kind.value_type.byte_width <= HELD:
        return MemoryTape(rows.whole("embedding")["embedding"], order)
    return DiskTape(kind, embeddings(rows), order, scratch / "vectors")


def embeddings(rows: Rows) -> Iterator[pa.ChunkedArray]:
    """The column of embeddings, part by part."""
    return (part["embedding"] for part in rows.parts("embedding"))


def unit_vectors(rows: Rows, positions: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The unit vectors at these positions, int64 [m], sorted: part by part which of them, and float32 [any, dim]."""
    start = 0
    for column in embeddings(rows):
        here = positions[slice(*np.searchsorted(positions, [start, start + len(column)]))]
        if len(here):
            yield here, UnitVectors(column).rows(here - start)
        start += len(column)
