"""Orders and cargo for tests of targets: what a spec would order, without building anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.handoff.folder import Order
from engine.handoff.target import Cargo
from engine.model import Weights
from engine.operator import Kind
from engine.registry import operator

FILE = "data/part-00000.parquet"


def order(trainer: str, base: Weights | None = None, **params: Any) -> Order:
    known = operator(Kind.TRAIN, trainer)
    checked = known.params(**params)
    values = {name: getattr(checked, name) for name in known.params.model_fields}
    reads = {name: name for name, column in known.reads_of(checked).items() if not column.optional}
    return Order(trainer, trainer, base or Weights("hub/name", "abc123"), values, 17, reads or {"messages": "messages"})


@pytest.fixture
def cargo(tmp_path: Path):
    """`cargo("dpo", max_length=64)`: a folder as a target gets it.

    Without `rows` there is no data in it; `over_long_rows` of it are too long, and `report` says what the pre-flight
    found besides.
    """

    def make(
        trainer: str = "sft",
        base: Weights | None = None,
        *,
        over_long_rows: int = 0,
        rows: list[dict[str, Any]] | None = None,
        report: dict[str, Any] | None = None,
        **params: Any,
    ) -> Cargo:
        if rows is not None:
            (tmp_path / "data").mkdir(exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / FILE)
        found = {"over_long": over_long_rows, "masking": "generation", "warnings": [], **(report or {})}
        return Cargo(order(trainer, base, **params), tmp_path, (FILE,), found)

    return make
