"""What an operator is given besides its rows: the seed, random draws, and a model whose calls are made in its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.bound import BoundModel
from engine.draws import draw
from engine.model import Model
from engine.needs import MODEL, SideTable


@dataclass(frozen=True)
class StepContext:
    """The `operator.Context` of a whole batch, or of one row."""

    seed: int
    bound: Mapping[str, BoundModel] = field(default_factory=dict)
    sides: Mapping[str, SideTable] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def scratch(self) -> Path:
        """The folder for work that looks at a whole table."""
        assert self.folder is not None, "only an operator over `rows` has a folder for its work"
        return self.folder

    @property
    def model(self) -> Model:
        """The only model."""
        return self.bound[MODEL]

    @property
    def models(self) -> Mapping[str, Model]:
        """The models by their roles."""
        return self.bound

    @property
    def call_ids(self) -> list[bytes]:
        """Every call that was made so far."""
        return [id_ for model in self.bound.values() for id_ in model.call_ids]

    def draw(self, row_id: str, k: int = 0) -> int:
        """See `engine.draws.draw`."""
        return draw(self.seed, row_id, k)

    def rng(self, row_id: str, k: int = 0) -> np.random.Generator:
        """A generator seeded by `draw(row_id, k)`."""
        return np.random.default_rng(self.draw(row_id, k))
