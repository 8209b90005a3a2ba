"""Runs the command of a delivered folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from engine.handoff.deliver import Delivery


def command(delivery: Delivery) -> subprocess.CompletedProcess[str]:
    """Run what the folder says, in the folder, offline."""
    words = delivery.command.split()
    where = Path(sys.executable).parent / words[0]
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env = outside | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [str(where), *words[1:]], cwd=delivery.folder, env=env, capture_output=True, text=True, check=False
    )
