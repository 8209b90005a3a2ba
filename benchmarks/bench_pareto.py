"""Two rewards in conflict with a known Pareto front (tests/two_rewards.py): PAMA, fixed weights and MGDA-UB.

    python benchmarks/bench_pareto.py [--seeds 5] [--steps 60] [--out FOLDER]

Every run is a whole training by `trainers.pama`, on one thread; its end is the mean of its last five steps. `--out`
gets every run as a CSV and the front as an SVG.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _measure import TESTS, headline, show, verdict

sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from two_rewards import FRONT, distance, write_toy  # noqa: E402

LAST = 5
PPO = {"noon": False}
"""As MORLHF and MGDA have it: what is worse than expected is pushed down too."""
METHODS: dict[str, dict[str, object]] = {
    "PAMA, by token": {},
    "PAMA, by sequence": {"granularity": "sequence"},
    "PAMA, as vectors": {"granularity": "vector"},
    "MGDA-UB": {"method": "mgda_ub", **PPO},
    "fixed 0.5, 0.5": {"method": "fixed_weights", **PPO},
    "fixed 0.5, 0.5, Noon": {"method": "fixed_weights"},
    "fixed 0.8, 0.2": {"method": "fixed_weights", "weights": [0.8, 0.2], **PPO},
    "fixed 0.2, 0.8": {"method": "fixed_weights", "weights": [0.2, 0.8], **PPO},
    "kind alone": {"method": "single", "objective": "kind", **PPO},
    "long alone": {"method": "single", "objective": "long", **PPO},
}
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Of a mean of so many runs: half of the 95 % interval, in standard errors."""


@dataclass(frozen=True)
class Run:
    """One training: its mean rewards, step by step."""

    method: str
    seed: int
    path: list[tuple[float, float]]

    def at(self, step: int) -> tuple[float, float]:
        """Mean rewards of the steps up to this one."""
        kind, long = zip(*self.path[max(step - LAST, 0) : step], strict=True)
        return statistics.fmean(kind), statistics.fmean(long)

    @property
    def end(self) -> tuple[float, float]:
        """Mean rewards of the last steps."""
        return self.at(len(self.path))


def trained(method: str, seed: int, steps: int) -> Run:
    import pyarrow.parquet as pq

    from trainers.loop.command import train
    from trainers.pama import PAMA

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        train(PAMA, write_toy(Path(folder), seed, epochs=float(steps), **METHODS[method]), out, json_lines=False)
        table = pq.read_table(out / "train_steps.parquet", columns=["reward/kind", "reward/long"])
    return Run(method, seed, list(zip(*(column.to_pylist() for column in table.columns), strict=True)))


def interval(values: list[float]) -> str:
    """Mean and half of the 95 % interval."""
    half = STUDENT[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.fmean(values):.3f} ± {half:.3f}"


def rows(runs: list[Run]) -> Iterator[list[object]]:
    for method in METHODS:
        own = [run for run in runs if run.method == method]
        ends = [run.end for run in own]
        middle = [distance(*run.at(len(run.path) // 3)) for run in own]
        yield [
            method,
            *(interval([end[i] for end in ends]) for i in (0, 1)),
            interval([min(end) for end in ends]),
            interval(middle),
            interval([distance(*end) for end in ends]),
        ]


def as_text(runs: list[Run]) -> str:
    """The ends of all runs before the front (`.`), each by a letter in the order of the table."""
    width, height = 61, 25
    canvas = [[" "] * width for _ in range(height)]

    def put(x: float, y: float, mark: str) -> None:
        canvas[round((1 - y) * (height - 1))][round(x * (width - 1))] = mark

    for turn in range(181):
        put(math.cos(turn * math.pi / 360), math.sin(turn * math.pi / 360), ".")
    for run in runs:
        put(*run.end, _letter(run.method))
    legend = "\n".join(f"  {_letter(method)}  {method}" for method in METHODS)
    return "\n".join("|" + "".join(line) for line in canvas) + "\n+" + "-" * width + " kind\n" + legend + "\n"


def _letter(method: str) -> str:
    return chr(ord("a") + list(METHODS).index(method))


def as_svg(runs: list[Run]) -> str:
    """The front, the course of every run, and its end."""
    size, edge = 480, 40

    def at(point: tuple[float, float]) -> str:
        return f"{edge + point[0] * size:.1f},{edge + (1 - point[1]) * size:.1f}"

    parts = [f'<polyline points="{" ".join(map(at, FRONT))}" fill="none" stroke="#000" stroke-width="1.5"/>']
    for run in runs:
        colour = f"hsl({list(METHODS).index(run.method) * 360 // len(METHODS)} 65% 42%)"
        course = " ".join(at(run.at(step)) for step in range(1, len(run.path) + 1))
        x, y = at(run.end).split(",")
        parts.append(f'<polyline points="{course}" fill="none" stroke="{colour}" stroke-opacity="0.3"/>')
        parts.append(
            f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"><title>{run.method}, {run.seed}</title></circle>'
        )
    for number, method in enumerate(METHODS):
        colour, y = f"hsl({number * 360 // len(METHODS)} 65% 42%)", edge + 16 * number
        parts.append(f'<text x="{size + edge + 30}" y="{y}" fill="{colour}">{method}</text>')
    parts.append(f'<text x="{edge}" y="{size + edge + 24}">mean reward for kind words; upwards: for long words</text>')
    box = f'viewBox="0 0 {size + 260} {size + 2 * edge}" font-family="sans-serif" font-size="13"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n' + "\n".join(parts) + "\n</svg>\n"


def keep(runs: list[Run], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pareto.svg").write_text(as_svg(runs), encoding="utf-8")
    with (folder / "pareto.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["method", "seed", "step", "kind", "long"])
        table.writerows([run.method, run.seed, step, *point] for run in runs for step, point in enumerate(run.path, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, choices=sorted(STUDENT))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, help="where pareto.csv and pareto.svg go")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    headline(f"Two rewards in conflict: {given.steps} steps of 64 answers, {given.seeds} seeds, tiny GPT-2")
    began = time.perf_counter()
    runs = [trained(method, seed, given.steps) for seed in range(given.seeds) for method in METHODS]
    show(["", "kind", "long", "the lesser", "distance, a third in", "distance to the front"], list(rows(runs)))
    print(as_text(runs))
    print(f"{len(runs)} trainings in {time.perf_counter() - began:.0f} s\n")
    if given.out:
        keep(runs, given.out)
    far = {method: statistics.fmean(distance(*run.end) for run in runs if run.method == method) for method in METHODS}
    for other in ("fixed 0.5, 0.5", "MGDA-UB"):
        verdict(f"PAMA's distance to the front, of that of {other}", far["PAMA, by token"] / far[other], 1.0)


if __name__ == "__main__":
    main()
