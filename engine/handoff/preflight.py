"""Lets the pre-flight look at a hand-off folder, as a command, and says what it found.

The pre-flight itself stands with the trainers (`python -m trainers.preflight`): it sees the very tokens and masks that
they will see.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import ExitCode, SetwrightError

PACKAGES = ("torch", "transformers")


class Refused(SetwrightError):
    """A hand-off that is refused as it is: by the pre-flight, by its target, or by the tests of its table."""

    exit_code = ExitCode.FAILURES


def preflight(folder: Path) -> Mapping[str, Any]:
    """Check a folder; returns the report, which also stands beside the data as preflight.json and preflight.md.

    Raises:
        Refused: the folder can't be trained on; every reason with its rows and its cure.
        SetwrightError: the pre-flight could not run.
    """
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if absent:
        raise SetwrightError(f"the pre-flight needs {' and '.join(absent)}", cure="pip install 'setwright[train]'")
    command = [sys.executable, "-P", "-m", "trainers.preflight", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path = folder / "preflight.json"
    if done.returncode not in (0, 1) or not path.exists():
        raise SetwrightError(f"the pre-flight of {folder} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not report["passed"]:
        reasons = "\n".join(f"  {_line(problem)}" for problem in report["problems"])
        raise Refused(f"the pre-flight refuses the data:\n{reasons}", cure=f"see {folder / 'preflight.md'}")
    return report


def _line(problem: Mapping[str, Any]) -> str:
    rows = problem["rows"]
    more = ", ..." if problem["count"] > len(rows) else ""
    where = f" ({problem['count']} rows: {', '.join(rows)}{more})" if rows else ""
    return f"{problem['code']}: {problem['message']}{where}; {problem['cure']}"
