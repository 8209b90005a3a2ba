"""What an operator is given besides its rows: the seed, random draws, and a model whose calls are made in its name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.bound import BoundModel
from engine.model import Model
from engine.schema import draw


@dataclass(frozen=True)
class StepContext:
    """The `operator.Context` of a whole batch, or of one row."""

    seed: int
    bound: BoundModel | None = None

    @property
    def model(self) -> Model:
        """The model that the spec names."""
        assert self.bound is not None, "the plan gives a model to every operator that needs one"
        return self.bound

    def draw(self, row_id: str, k: int = 0) -> int:
        """See `engine.schema.draw`."""
        return draw(self.seed, row_id, k)

    def rng(self, row_id: str, k: int = 0) -> np.random.Generator:
        """A generator seeded by `draw(row_id, k)`."""
        return np.random.default_rng(self.draw(row_id, k))
