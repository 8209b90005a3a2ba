"""TensorBoard and Weights & Biases, which follow a run if asked; accelerate speaks to them.

Keys come from the environment, as each of them reads it: none is ever a parameter.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.errors import HandoffError

if TYPE_CHECKING:
    from accelerate import Accelerator


def check_installed(report_to: str) -> None:
    """Raises: HandoffError: the tracker isn't installed here."""
    if report_to != "none" and importlib.util.find_spec(report_to) is None:
        raise HandoffError(f"params.report_to is {report_to!r}, not installed: pip install {report_to}")


def follow(accelerator: Accelerator, report_to: str, name: str, identity: Mapping[str, Any], out: Path) -> None:
    """Start the tracker; a run that goes on is the same run to it, by the identity of the training."""
    if report_to == "none":
        return
    text = json.dumps([str(out.resolve()), identity], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    accelerator.init_trackers(name, init_kwargs={"wandb": {"id": digest, "resume": "allow", "dir": str(out)}})
