"""Checkpoints: complete or absent, exact, and refused when they belong to another training.

Where in the data a run stands needs no record beyond the step: the order of the rows follows from the plan.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainers.errors import HandoffError
from trainers.loop.metrics import Metrics
from trainers.loop.optimizers import Optimizers
from trainers.model.policy import Policy
from trainers.model.sharding import spread, whole

FREE = ("save_steps", "keep_checkpoints", "report_to", "sharding")
"""Parameters that may change between a stop and the resumption: they don't touch the weights."""


def folder_of(out: Path, step: int) -> Path:
    """Where the checkpoint after `step` steps lies."""
    return out / "checkpoints" / f"step-{step:06d}"


def newest(out: Path) -> Path | None:
    """The newest complete checkpoint."""
    return max((out / "checkpoints").glob("step-*"), default=None, key=lambda folder: int(folder.name[5:]))


def partial_of(out: Path, step: int) -> Path:
    """Where a checkpoint lies until it is complete."""
    return out / "checkpoints" / f".step-{step:06d}.partial"


def begin(partial: Path) -> None:
    """Empty the folder of a checkpoint to be, whatever a killed run left in it."""
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)


def save_process(partial: Path, rank: int) -> None:
    """What each process has of its own: the states of its random number generators."""
    numpy_state: Any = np.random.get_state(legacy=True)
    state = {
        "python": random.getstate(),
        "numpy": [numpy_state[0], torch.from_numpy(numpy_state[1].astype(np.int64)), *numpy_state[2:]],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    torch.save(state, partial / f"random-{rank}.pt")


def weights(policy: Policy) -> dict[str, torch.Tensor]:
    """The weights that are trained, unsharded; all processes must ask for them."""
    return {name: whole(tensor.detach()).contiguous() for name, tensor in _trained(policy).items()}


def save_shared(
    partial: Path, weights: Mapping[str, torch.Tensor], states: Any, metrics: Metrics, record: Mapping[str, Any]
) -> None:
    """What all processes have in common; `record` holds the step and what identifies the training."""
    from safetensors.torch import save_file

    save_file(dict(weights), partial / "weights.safetensors")
    torch.save(states, partial / "optimizers.pt")
    metrics.write(partial)
    (partial / "state.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def finish(partial: Path, out: Path, step: int, keep: int) -> Path:
    """Put a complete checkpoint in its place, durably, and remove all but the newest `keep`."""
    folder = folder_of(out, step)
    publish(partial, folder)
    for old in sorted(folder.parent.glob("step-*"), key=lambda old: int(old.name[5:]))[:-keep]:
        shutil.rmtree(old)
    return folder


def publish(partial: Path, folder: Path) -> None:
    """Make a folder appear as a whole: everything in it reaches the disk before its name does."""
    for path in [*partial.rglob("*"), partial]:
        _sync(path)
    if folder.exists():
        shutil.rmtree(folder)
    partial.replace(folder)
    _sync(folder.parent)


def read_record(folder: Path, identity: Mapping[str, Any]) -> int:
    """The step of a checkpoint.

    Raises:
        HandoffError: it is of another training; the message says in what they differ.
    """
    record = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    differing = differences(record["identity"], identity)
    if differing:
        raise HandoffError(
            f"{folder} is a checkpoint of another training ({'; '.join(differing)}): give another --out, or remove "
            f"{folder.parent} to start over"
        )
    return int(record["step"])


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what two trainings differ, in words; empty when one may go on where the other stopped."""
    params = [
        f"params.{name} was {before['params'].get(name)!r} and is {now['params'].get(name)!r}"
        for name in sorted(before["params"].keys() | now["params"].keys())
        if name not in FREE and before["params"].get(name) != now["params"].get(name)
    ]
    rest = [
        f"{name} was {before.get(name)!r} and is {now[name]!r}"
        for name in now
        if name != "params" and before.get(name) != now[name]
    ]
    return rest + params


def load(folder: Path, rank: int, policy: Policy, optimizers: Optimizers, metrics: Metrics) -> None:
    """Put weights, optimisers, random number generators and the metrics so far back."""
    from safetensors.torch import load_file

    saved = load_file(folder / "weights.safetensors")
    with torch.no_grad():
        for name, tensor in _trained(policy).items():
            tensor.copy_(spread(saved[name], tensor))
    optimizers.load(torch.load(folder / "optimizers.pt", weights_only=True))
    _restore_random(torch.load(folder / f"random-{rank}.pt", weights_only=True))
    metrics.read(folder)


def _trained(policy: Policy) -> dict[str, torch.Tensor]:
    return {name: parameter for name, parameter in policy.named_parameters() if parameter.requires_grad}


def _restore_random(state: Mapping[str, Any]) -> None:
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, words, *rest = state["numpy"]
    np.random.set_state((kind, words.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
