"""Tokenised rows in flat arrays, and the report on what became of the rows of a hand-off folder."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NAMED = 10
"""Rows that a problem names."""


@dataclass(frozen=True)
class Tokens:
    """Rows of different lengths in flat arrays; row i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: npt.NDArray[np.int32]  # [total]
    mask: npt.NDArray[np.bool_]  # [total]: the token is a loss target
    offsets: npt.NDArray[np.int64]  # [rows + 1]
    row_ids: pa.ChunkedArray  # string [rows]
    forks: npt.NDArray[np.int64] | None = None
    """`[rows]`: tokens at the beginning of the row before, a prompt, that stand before this row too; 0 for none."""

    @property
    def begins(self) -> npt.NDArray[np.int64]:
        """The position of each row's first token, `[rows]`."""
        return np.zeros(len(self.offsets) - 1, np.int64) if self.forks is None else self.forks


@dataclass
class Trouble:
    """Rows that have the same thing wrong with them: how many, the first of them, and what it is of the first."""

    message: str
    count: int = 0
    rows: list[str] = field(default_factory=list)

    def add(self, row_id: str) -> None:
        """Count a row."""
        self.count += 1
        if len(self.rows) < NAMED:
            self.rows.append(row_id)


@dataclass
class TokenReport:
    """What became of the rows. `kept` are trained on; `troubles` are by their codes."""

    masking: str
    asked_for: set[str] = field(default_factory=set)
    """Troubles that the parameters say how to deal with: they end no run."""
    rows: int = 0
    kept: int = 0
    tokens: int = 0
    targets: int = 0
    longest: int = 0
    over_long: int = 0
    cut: int = 0
    troubles: dict[str, Trouble] = field(default_factory=dict)

    def add(self, code: str, row_id: str, message: str) -> None:
        """Count a row that has something wrong with it."""
        self.troubles.setdefault(code, Trouble(message)).add(row_id)

    def add_all(self, code: str, row_ids: list[str], wrong: npt.NDArray[np.bool_], message: str) -> None:
        """Count the rows that are flagged, `[rows]`."""
        for row in np.flatnonzero(wrong):
            self.add(code, row_ids[row], message)


def runs(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The places of runs that begin at `starts` and have `lengths`, one run after the other."""
    ends = np.cumsum(lengths)
    return np.asarray(np.arange(lengths.sum()) + np.repeat(starts - (ends - lengths), lengths), np.int64)


def first_targets(mask: npt.NDArray[np.bool_], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where the first target of each row stands within the row, `[rows]`; for rows without any it means nothing."""
    places = np.append(np.flatnonzero(mask), len(mask))
    return np.asarray(places[np.searchsorted(places[:-1], offsets[:-1])] - offsets[:-1], np.int64)


def joined(parts: list[Tokens]) -> Tokens:
    """All rows of `parts`, which is emptied on the way: an array and its copy are never there as a whole."""
    lengths = [np.diff(part.offsets) for part in parts]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([np.empty(0, np.int64), *lengths]))]).astype(np.int64)
    row_ids = pa.chunked_array([chunk for part in parts for chunk in part.row_ids.chunks], pa.string())
    ids, mask = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.bool_)
    end = int(offsets[-1])
    while parts:
        part = parts.pop()
        begin = end - len(part.ids)
        ids[begin:end], mask[begin:end] = part.ids, part.mask
        end = begin
    return Tokens(ids, mask, offsets, row_ids)
