"""Setwright's own trainers: a copy of the package travels in the folder, which then trains on a bare machine."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.handoff.target import OUT, Cargo, Target
from engine.operators.trainers.sft import SftParams

KEYS = {name: name for name in SftParams.model_fields}
PACKAGE = "trainers"


def write(cargo: Cargo) -> str:
    """Copy the trainers; returns the command."""
    found = importlib.util.find_spec(PACKAGE)
    assert found is not None
    assert found.origin is not None
    target = cargo.folder / PACKAGE
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(Path(found.origin).parent, target, ignore=shutil.ignore_patterns("__pycache__"))
    return f"python -m {PACKAGE}.{cargo.order.trainer} . --out {OUT}"


def _notes(cargo: Cargo) -> Iterator[str]:
    module = f"{PACKAGE}.{cargo.order.trainer}"
    yield f"on several GPUs: `accelerate launch --num_processes 4 -m {module} . --out {OUT}`"
    yield f"the same command goes on where a training stopped; `python -m {PACKAGE}.preflight .` checks again"
    yield "it needs torch, transformers, accelerate, peft, numpy and pyarrow"


NATIVE = Target("native", KEYS, write, {}, ("error", "drop", "truncate"), _notes)
