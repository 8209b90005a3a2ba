"""What objectives have in common whose loss is of items, some rows of tokens that belong to one row of the data."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from torch import Tensor

from trainers.data.batches import Integers
from trainers.data.plan import Plan, Window
from trainers.loop.objective import Figures, Floats, Objective, Report


class OfItems(Objective):
    """A loss of items, averaged over the window, however many rows each of them has."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._is_head = np.zeros(len(plan.lengths), np.bool_)
        self._is_head[plan.firsts] = True

    def heads(self, rows: Integers) -> Integers:
        """Where in rows, `[k]`, whose items are there as wholes, an item begins, `[items]`."""
        return np.flatnonzero(self._is_head[rows])

    def weights(self, window: Window) -> Floats:
        """What the loss of each row's item counts."""
        return np.full(len(window.rows), 1 / len(self.heads(window.rows)))

    def of_items(self, window: Window, columns: dict[str, pa.Array], figures: Figures) -> Report:
        """A report of the window's items."""
        heads = self.heads(window.rows)
        return Report(
            tokens=int(self.plan.lengths[window.rows].sum()),
            row_ids=self.plan.row_ids.take(pa.array(window.rows[heads])),
            n_tokens=np.add.reduceat(self.plan.targets[window.rows], heads),
            columns=columns,
            figures=figures,
        )


def mean(values: Tensor) -> float | None:
    """The mean, or None of nothing."""
    return float(values.mean()) if len(values) else None
