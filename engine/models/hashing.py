"""`use: hashing`: text embeddings without weights, by feature hashing; for tests, small data and near-duplicates."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from engine.model import Backend, BackendParams, Capability


class HashingParams(BackendParams):
    """`dim` of the vectors, and the lengths in bytes of the character n-grams."""

    dim: int = Field(256, ge=8, le=16384)
    ngrams: list[int] = Field(default_factory=lambda: [4, 6])


class Hashing(Backend):
    """Deterministic embeddings."""

    Params = HashingParams
    offers: ClassVar[frozenset[Capability]] = frozenset({Capability.EMBED})
    recorded: ClassVar[bool] = False

    def identity(self) -> dict[str, Any]:
        """The version of the features, and the parameters."""
        return {"backend": "hashing", "version": 1, **self.config.params.model_dump()}

    def embedding_dim(self) -> int:
        """The parameter `dim`."""
        return self.config.params.dim
