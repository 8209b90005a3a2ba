"""The life of a row as data: every table that it passed through, and the calls, scores and verdicts it met there.

How a life is found out is `why`'s business, and how it is shown the command line's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class RowCall:
    """A model call that `step` made for a row; `made` names the row's column that is the reply word for word."""

    call_id: str
    step: str
    model: str
    kind: str
    request: dict[str, Any]
    response: dict[str, Any] | None
    error: str | None
    tokens_in: int | None
    tokens_out: int | None
    latency_s: float | None
    at: datetime
    build: str
    made: str | None


@dataclass(frozen=True)
class StepScore:
    """The columns that one score step gave a row."""

    step: str
    label: str
    values: dict[str, Any]


@dataclass(frozen=True)
class RowVerdict:
    """What a selection said of a row. `other` is the row of `nn_id`: the pick that displaced it, or came nearest."""

    selected: bool
    select_rank: int | None
    drop_reason: str | None
    nn_id: str | None
    nn_sim: float | None
    other: dict[str, Any] | None


@dataclass(frozen=True)
class Stage:
    """A row in one table. `row` holds the table's own columns; a selection has none, and a verdict in their place."""

    table: str
    label: str  # `generate: respond`
    params: dict[str, Any]
    row_id: str
    row: dict[str, Any]
    verdict: RowVerdict | None
    scores: tuple[StepScore, ...]
    calls: tuple[RowCall, ...]


@dataclass(frozen=True)
class RowFailure:
    """A step that could not do a row; a transient error is tried again by the next build."""

    step: str
    row_id: str
    error: str
    transient: bool


@dataclass(frozen=True)
class Life:
    """A row's stages: its oldest ancestor first, and the selections that saw the row last."""

    table: str
    row_id: str
    stages: tuple[Stage, ...]
    failures: tuple[RowFailure, ...]
