"""Two rewards in conflict with a known Pareto front (tests/two_rewards.py): PAMA, fixed weights and MGDA-UB.

    python benchmarks/bench_pareto.py [--seeds 5] [--steps 40] [--rates 0.003 0.01 0.03] [--out FOLDER]

Every run is a whole training by `trainers.pama`, on one thread; its end is the mean of its last five steps. Which
method comes nearer depends on the learning rate, so each is shown at several. The goal, that PAMA ends nearer, is met
where the whole interval of the differences is below 0. `--out` gets every step of every run as a
CSV, and the front with the courses and ends of all runs as an SVG.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
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
    "PAMA, as vectors": {"granularity": "vector"},
    "MGDA-UB": {"method": "mgda_ub", **PPO},
    "fixed 0.5, 0.5": {"method": "fixed_weights", **PPO},
    "fixed 0.8, 0.2": {"method": "fixed_weights", "weights": [0.8, 0.2], **PPO},
    "fixed 0.2, 0.8": {"method": "fixed_weights", "weights": [0.2, 0.8], **PPO},
}
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Of a mean of so many runs: half of the 95 % interval, in standard errors."""


@dataclass(frozen=True)
class Run:
    """One training: mean rewards step by step, and the entropy of its last tokens in nats."""

    method: str
    rate: float
    seed: int
    path: list[tuple[float, float]]
    entropy: float

    def at(self, step: int) -> tuple[float, float]:
        """Mean rewards of the steps up to this one."""
        kind, long = zip(*self.path[max(step - LAST, 0) : step], strict=True)
        return statistics.fmean(kind), statistics.fmean(long)

    @property
    def end(self) -> tuple[float, float]:
        """Mean rewards of the last steps."""
        return self.at(len(self.path))


def trained(method: str, rate: float, seed: int, steps: int) -> Run:
    import pyarrow.parquet as pq

    from trainers.loop.command import train
    from trainers.pama import PAMA

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        handoff = write_toy(Path(folder), seed, epochs=float(steps), learning_rate=rate, **METHODS[method])
        train(PAMA, handoff, out)
        table = pq.read_table(out / "train_steps.parquet")
    path = list(zip(*(table[f"reward/{name}"].to_pylist() for name in ("kind", "long")), strict=True))
    return Run(method, rate, seed, path, table["entropy"][-1].as_py())


def interval(values: list[float]) -> str:
    """Mean and half of the 95 % interval."""
    return f"{statistics.fmean(values):.3f} ± {half_width(values):.3f}"


def half_width(values: list[float]) -> float:
    """Half of the 95 % interval of the mean."""
    return STUDENT[len(values)] * statistics.stdev(values) / math.sqrt(len(values))


def rows(runs: list[Run]) -> Iterator[list[object]]:
    for rate in sorted({run.rate for run in runs}):
        for method in METHODS:
            own = [run for run in runs if (run.method, run.rate) == (method, rate)]
            ends = [run.end for run in own]
            yield [
                method,
                f"{rate:g}",
                *(interval([end[i] for end in ends]) for i in (0, 1)),
                interval([min(end) for end in ends]),
                statistics.fmean(run.entropy for run in own),
                interval([distance(*end) for end in ends]),
            ]


def as_text(runs: list[Run]) -> str:
    """The ends of runs before the front (`.`), each by a letter in the order of the table."""
    width, height = 45, 19
    canvas = [[" "] * width for _ in range(height)]

    def put(x: float, y: float, mark: str) -> None:
        canvas[round((1 - y) * (height - 1))][round(x * (width - 1))] = mark

    for turn in range(181):
        put(math.cos(turn * math.pi / 360), math.sin(turn * math.pi / 360), ".")
    for run in runs:
        put(*run.end, _letter(run.method))
    return "\n".join("  |" + "".join(line).rstrip() for line in canvas) + "\n  +" + "-" * width + " kind\n"


def _letter(method: str) -> str:
    return chr(ord("a") + list(METHODS).index(method))


def as_svg(runs: list[Run]) -> str:
    """For each rate the front, the courses of the runs, and their ends."""
    size, edge = 320, 40
    colours = {method: f"hsl({number * 360 // len(METHODS)} 65% 42%)" for number, method in enumerate(METHODS)}
    rates, parts = sorted({run.rate for run in runs}), []

    def at(point: tuple[float, float], left: int) -> str:
        return f"{left + point[0] * size:.1f},{edge + (1 - point[1]) * size:.1f}"

    def line(points: Iterable[str], look: str) -> None:
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" {look}/>')

    for panel, rate in enumerate(rates):
        left = edge + panel * (size + edge)
        parts.append(f'<text x="{left}" y="{edge - 16}">learning rate {rate:g}</text>')
        line((at(point, left) for point in [(0, 1), (0, 0), (1, 0)]), 'stroke="#999"')
        line((at(point, left) for point in FRONT), 'stroke="#000" stroke-width="1.5"')
        for run in (run for run in runs if run.rate == rate):
            course = (at(run.at(step), left) for step in range(1, len(run.path) + 1))
            line(course, f'stroke="{colours[run.method]}" stroke-opacity="0.3"')
            x, y = at(run.end, left).split(",")
            parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{colours[run.method]}"/>')
    for number, (method, colour) in enumerate(colours.items()):
        x = edge + number * 170
        parts.append(f'<text x="{x}" y="{size + 2 * edge}" fill="{colour}">{method}</text>')
    axes = "mean reward for kind words to the right, for long words upwards"
    parts.append(f'<text x="{edge}" y="{size + 2 * edge + 24}">{axes}</text>')
    box = f'viewBox="0 0 {len(rates) * (size + edge) + edge} {size + 3 * edge}" font-family="sans-serif" font-size="13"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n' + "\n".join(parts) + "\n</svg>\n"


def keep(runs: list[Run], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pareto.svg").write_text(as_svg(runs), encoding="utf-8")
    with (folder / "pareto.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["method", "learning_rate", "seed", "step", "kind", "long"])
        for run in runs:
            table.writerows([run.method, run.rate, run.seed, step, *point] for step, point in enumerate(run.path, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, choices=sorted(STUDENT))
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.003, 0.01, 0.03])
    parser.add_argument("--out", type=Path, help="where pareto.csv and pareto.svg go")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    headline(f"Two rewards in conflict: {given.steps} steps of 64 answers, {given.seeds} seeds, tiny GPT-2")
    began = time.perf_counter()
    every = itertools.product(METHODS, given.rates, range(given.seeds))
    runs = [trained(method, rate, seed, given.steps) for method, rate, seed in every]
    show(["", "rate", "kind", "long", "the lesser", "entropy", "distance to the front"], list(rows(runs)))
    for rate in given.rates:
        print(f"rate {rate:g}\n{as_text([run for run in runs if run.rate == rate])}")
    print("\n".join(f"  {_letter(method)}  {method}" for method in METHODS))
    print(f"\n{len(runs)} trainings in {time.perf_counter() - began:.0f} s\n")
    if given.out:
        keep(runs, given.out)
    verdict("the weights of ten objectives", solve_ms(), 1.0, unit=" ms")
    for rate, other in itertools.product(given.rates, ("fixed 0.5, 0.5", "MGDA-UB")):
        ours, theirs = (_distances(runs, method, rate) for method in ("PAMA, by token", other))
        apart = [a - b for a, b in zip(ours, theirs, strict=True)]
        what = f"rate {rate:g}: PAMA's distance less that of {other}, seed by seed {interval(apart)}; at most"
        verdict(what, statistics.fmean(apart) + half_width(apart), 0.0)


def solve_ms() -> float:
    """Median time to find the weights of ten objectives, given their advantages."""
    import torch

    from trainers.losses.pareto import min_square

    values, took = torch.rand(10, dtype=torch.float64), []
    for _ in range(1000):
        began = time.perf_counter()
        min_square(values)
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def _distances(runs: list[Run], method: str, rate: float) -> list[float]:
    """To the front, by seed."""
    return [distance(*run.end) for run in runs if (run.method, run.rate) == (method, rate)]


if __name__ == "__main__":
    main()
