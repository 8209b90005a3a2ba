"""What the benchmarks share: measured processes, a server of their own, tables of results.

Every figure is that of a whole command in a fresh process: wall time, CPU time of all its threads, peak memory.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
PACKAGES = ("setwright", "polars", "pyarrow", "duckdb", "aiohttp", "uvloop")


@dataclass(frozen=True)
class Measured:
    """One command: seconds of wall and CPU, MiB at the peak, its exit code and standard output."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    exit_code: int
    output: str

    @property
    def json(self) -> Any:
        """The output of a command that was called with `--json`."""
        return json.loads(self.output)


def setwright(*arguments: object) -> list[str]:
    """The command line of this environment's Setwright."""
    return [str(Path(sys.executable).with_name("setwright")), *map(str, arguments)]


def script(name: str, *arguments: object) -> list[str]:
    """The command line of a script of this folder."""
    return [sys.executable, str(HERE / name), *map(str, arguments)]


def measured(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 600, expect: int = 0
) -> Measured:
    """Run a command in a fresh process group.

    Raises:
        RuntimeError: it ends with another exit code than `expect`; the message holds what it wrote.
        TimeoutError: it takes longer than `timeout` seconds, and was killed.
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(HERE / "_child.py"), result.name, *command],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(env or {})}, start_new_session=True,
        )  # fmt: skip
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise TimeoutError(f"{' '.join(command)} took more than {timeout:g} s") from None
        took = Measured(**json.loads(Path(result.name).read_text()), output=output)
    if took.exit_code != expect:
        raise RuntimeError(f"{' '.join(command)} ended with {took.exit_code}:\n{output[-4000:]}{errors[-4000:]}")
    return took


def medians(runs: int, *sides: Callable[[], Measured]) -> list[Measured]:
    """The run of median wall time of each side; the sides take turns, so that a change of load meets all of them."""
    rounds = [[side() for side in sides] for _ in range(runs)]
    return [sorted(side, key=lambda run: run.wall_s)[len(side) // 2] for side in zip(*rounds, strict=True)]


@contextlib.contextmanager
def fake_server(latency_ms: float) -> Iterator[str]:
    """A server of tests/fake_server.py in a process of its own; its base_url."""
    command = [sys.executable, str(TESTS / "fake_server.py"), "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def server_stats(url: str) -> dict[str, float]:
    """The server's own counts."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/stats", timeout=30) as reply:
        return json.load(reply)


def headline(title: str) -> None:
    """Print what is measured, on what, with which versions, and the load that others put on the machine."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"{title}\n{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {versions}")
    print(f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}\n")


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def show(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: the first column to the left, figures to the right."""
    cells = [[_cell(value) for value in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        first, *rest = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join([first.strip().ljust(widths[0]), *rest]))
    print()


def verdict(what: str, value: float, goal: float, *, at_least: bool = False, unit: str = "") -> None:
    """Print a figure against its goal."""
    met = value >= goal if at_least else value <= goal
    sign = ">=" if at_least else "<="
    print(f"{'met   ' if met else 'MISSED'}  {what}: {value:.3g}{unit} (goal {sign} {goal:g}{unit})")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
