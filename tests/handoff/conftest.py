"""Orders and cargo for tests of targets: what a spec would order, without building anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.handoff.folder import Order
from engine.handoff.target import Cargo
from engine.model import Weights
from engine.operators.trainers.sft import SftParams

READS = {"conversation": ["messages"], "completion": ["prompt", "completion"]}


def order(base: Weights | None = None, **params: Any) -> Order:
    checked = SftParams(**params)
    values = {name: getattr(checked, name) for name in SftParams.model_fields}
    reads = {name: name for name in READS.get(checked.format, ["messages"])}
    return Order("sft", "sft", base or Weights("hub/name", "abc123"), values, 17, reads)


@pytest.fixture
def cargo(tmp_path: Path):
    """`cargo(max_length=64)`: a folder as a target gets it, none of whose rows is too long."""

    def make(base: Weights | None = None, over_long_rows: int = 0, masking: str = "generation", **params: Any) -> Cargo:
        report = {"over_long": over_long_rows, "masking": masking}
        return Cargo(order(base, **params), tmp_path, ("data/part-00000.parquet",), report)

    return make
