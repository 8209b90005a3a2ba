"""The twins of the methods that make data in several steps or rounds: built whole, and built through a SIGKILL.

Both builds must come to the same files, byte for byte, and the second must send no call that was answered before the
kill.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from engine.assets import folder
from engine.builds import build
from engine.errors import ExitCode
from engine.spec.load import load_spec

SPECS = folder("specs") / "small"
METHODS = {
    "codeclm": ("written", "+written"),
    "cyclealign": ("%@2", "+student@2"),
    "i_sheep": ("%@2", "+student@2"),
    "ultraprompt": ("tree_nodes", "+tree_nodes"),
}
"""Each twin: the nodes (a LIKE pattern) in whose calls it is killed, in round 2 where there are rounds, and what is
then built to the end.
"""

PREPARED = {"i_sheep": "+base"}
"""What is built once and copied to both homes: the lessons of its base model take longer than all that follows."""

COMMAND = [sys.executable, "-c", "from engine.cli import main; main()", "build"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("method", METHODS)
def test_a_build_that_is_killed_comes_to_the_same_files_and_repeats_no_call(method, tmp_path):
    spec = SPECS / f"{method}.yaml"
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    if method in PREPARED:
        build(load_spec(spec), whole, selection=PREPARED[method])
        shutil.copytree(whole, broken)
    report = build(load_spec(spec), whole)
    assert report.exit_code is ExitCode.DONE
    nodes, selection = METHODS[method]
    held = killed_among(nodes, selection, spec, broken)
    mended = build(load_spec(spec), broken, selection=selection)
    calls = answered(broken)
    assert held < calls
    assert calls <= answered(whole)
    assert sum(step["calls_sent"] for step in mended.steps) == len(calls - held), "an answered call was sent again"
    assert unlike(files(broken), files(whole)) == []
    assert {step["state"] for step in build(load_spec(spec), whole).steps} <= {"cached", "stopped"}


def killed_among(nodes: str, selection: str, spec: Path, home: Path) -> set[bytes]:
    """Build in a process of its own and kill it once such a node has asked; the calls that were answered by then."""
    process = subprocess.Popen(
        [*COMMAND, str(spec), "--home", str(home), "--select", selection], start_new_session=True
    )
    try:
        while not answered(home, nodes):
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return answered(home)


def answered(home: Path, nodes: str = "%") -> set[bytes]:
    """The ids of the answered calls of such nodes (of the steps that belong to them, too)."""
    query = "SELECT id FROM calls WHERE error IS NULL AND (node LIKE ? OR node LIKE ? || '.%')"
    return {row[0] for row in rows(home, query, (nodes, nodes))}


def rows(home: Path, query: str, values: tuple[str, ...]) -> list[tuple[bytes]]:
    ledger = home / "ledger.sqlite"
    if not ledger.exists():
        return []
    with closing(sqlite3.connect(ledger, timeout=60)) as con:
        try:
            return con.execute(query, values).fetchall()
        except sqlite3.OperationalError:  # the table is not made yet
            return []


def files(home: Path) -> dict[str, Path]:
    """Every part, and every model's weights."""
    kept = [path for path in (home / "objects").rglob("*") if path.suffix in (".parquet", ".safetensors")]
    # how long a step of a training took is no result
    return {path.relative_to(home).as_posix(): path for path in kept if not path.name.startswith("steps-")}


def unlike(here: dict[str, Path], there: dict[str, Path]) -> list[str]:
    """The files that there are here alone, or with other bytes."""
    return sorted(
        name for name, path in here.items() if name not in there or path.read_bytes() != there[name].read_bytes()
    )
