"""What stands around each row of a table by its embedding, for operators that report or judge it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.operator import Context, Rows
from engine.operators._cells import arranged, by_cell, cells_of, known_rows, learned_cells
from engine.schema import ROW_ID
from engine.vectors.surroundings import NOBODY, Surroundings, surroundings

NO_EMBEDDING = "the embedding is null, zero or not finite"
NO_OTHER = "there is no other row to compare with"


class Neighbourhood:
    """The surroundings of the rows, by their positions in the table; earlier is what has the lower row_id.

    Attributes:
        ids: the row_ids, [n].
        found: `Surroundings` of n rows, with positions instead of places.
        earlier: bool [n], whether the first row that is nearer than the limit comes before the row itself.
        known: bool [n], which rows have a vector.
    """

    def __init__(self, rows: Rows, limit: float, cells: int | None, ctx: Context) -> None:
        """Compares all rows with all (`cells` = 1), or those of each cell; None is as many cells as is usual."""
        self.ids, self.known = rows.whole()[ROW_ID], known_rows(rows)
        by_id = pc.sort_indices(self.ids).to_numpy().astype(np.int64)
        order, bounds = by_cell(by_id[self.known[by_id]], self._cells(rows, cells, ctx))
        found = surroundings(arranged(rows, order, ctx.scratch), bounds, limit)
        n = rows.num_rows
        self.found = Surroundings(np.full(n, NOBODY), np.full(n, np.nan), np.full(n, NOBODY), np.zeros(n, np.int64))
        self.found.nearest[order] = _positions(found.nearest, order)
        self.found.first[order] = _positions(found.first, order)
        self.found.distance[order], self.found.count[order] = found.distance, found.count
        self.earlier = np.zeros(n, bool)
        self.earlier[order] = (found.first != NOBODY) & (found.first < np.arange(len(order)))

    def _cells(self, rows: Rows, cells: int | None, ctx: Context) -> np.ndarray:
        if cells == 1:
            return np.zeros((rows.num_rows, 1), np.int32)
        return cells_of(rows, self.known, learned_cells(rows, self.known, cells, ctx.seed))[0]

    @property
    def alone(self) -> np.ndarray:
        """Which rows have no other beside them, bool [n]."""
        alone: np.ndarray = self.found.nearest == NOBODY
        return alone

    @property
    def missing(self) -> pa.Array:
        """Why nothing can be said of a row, string [n]; null where something can."""
        return pa.array(np.where(self.known, NO_OTHER, NO_EMBEDDING), pa.string(), mask=~self.alone)

    def ids_at(self, positions: np.ndarray) -> pa.ChunkedArray:
        """The row_ids at these positions; null for `NOBODY`."""
        return self.ids.take(pa.array(positions, mask=positions == NOBODY))


def _positions(places: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The rows that stand in these places; `NOBODY` stays."""
    positions = np.full(len(places), NOBODY)
    positions[places != NOBODY] = order[places[places != NOBODY]]
    return positions
