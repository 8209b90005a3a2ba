"""A table as operators over whole tables are given it, from memory or from Parquet files; and clustered embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class InMemory:
    """The columns of an Arrow table, as one part."""

    table: pa.Table

    @property
    def num_rows(self) -> int:
        return self.table.num_rows

    @property
    def columns(self) -> Sequence[str]:
        return [name for name in self.table.column_names if name != "row_id"]

    def whole(self, *columns: str) -> pa.Table:
        return self.table.select(["row_id", *columns])

    def parts(self, *columns: str) -> Iterator[pa.Table]:
        yield self.whole(*columns)


@dataclass(frozen=True)
class OnDisk:
    """The columns of a folder's Parquet files, each a part."""

    folder: Path

    @property
    def num_rows(self) -> int:
        return sum(pq.read_metadata(file).num_rows for file in self._files)

    @property
    def columns(self) -> Sequence[str]:
        return [name for name in pq.read_schema(self._files[0]).names if name != "row_id"]

    @property
    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet"))

    def whole(self, *columns: str) -> pa.Table:
        return pa.concat_tables(self.parts(*columns))

    def parts(self, *columns: str) -> Iterator[pa.Table]:
        for file in self._files:
            yield pq.read_table(file, columns=["row_id", *columns], partitioning=None)


@dataclass(frozen=True)
class Scratch:
    """The little of a context that these operators ask for."""

    scratch: Path
    seed: int = 17


@dataclass(frozen=True)
class Clusters:
    """Unit rows in clusters of power-law size, at cosines of 0.93 to 0.99 to their centres, piece by piece."""

    centres: int
    dim: int
    _centres: np.ndarray = field(init=False)
    _share: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(11)
        sizes = 1 / np.arange(1, self.centres + 1) ** 0.7
        object.__setattr__(self, "_centres", unit(rng.standard_normal((self.centres, self.dim), dtype=np.float32)))
        object.__setattr__(self, "_share", np.cumsum(sizes / sizes.sum()))

    def piece(self, number: int, n: int, kind: type[np.floating]) -> pa.Table:
        """That many rows with ids, scores and embeddings; the same for the same number."""
        rng = np.random.default_rng([11, number])
        near = rng.uniform(0.93, 0.99, (n, 1)).astype(np.float32)
        noise = unit(rng.standard_normal((n, self.dim), dtype=np.float32))
        centre = self._centres[np.searchsorted(self._share[:-1], rng.random(n))]
        vectors = (centre * near + noise * np.sqrt(1 - near**2)).astype(kind)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), self.dim)
        ids = [f"{number * n + i:024x}" for i in range(n)]
        return pa.table({"row_id": ids, "score": rng.uniform(1, 36, n), "embedding": lists})


def unit(rows: np.ndarray) -> np.ndarray:
    """The rows at length 1."""
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows
