"""Setwright's own trainers: a copy of the package travels in the folder, which then trains on a bare machine."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.handoff.target import OUT, Cargo, Recipe, Target
from engine.operator import Kind
from engine.registry import operator, operator_names

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


def _recipe(trainer: str) -> Recipe:
    """Every parameter by its own name, and every row as it is ordered."""
    params = operator(Kind.TRAIN, trainer).params
    return Recipe({name: name for name in params.model_fields}, {}, write, _notes)


NATIVE = Target("native", {trainer: _recipe(trainer) for trainer in operator_names(Kind.TRAIN)})
