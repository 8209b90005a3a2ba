"""What a user waits for when nothing is to be done: help, a plan of 1,000 nodes, an unchanged build of 50.

    python benchmarks/bench_feel.py [--runs 5]

Whole commands in fresh processes, medians. Goals: 0.3 s, 1 s and 1 s. The time that Python takes to start and do
nothing, and to import the libraries that read and write the tables, are shown beside them: they are the limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from _data import rows, write_jsonl
from _measure import headline, measured, medians, setwright, show, verdict

LIBRARIES = "import pyarrow.parquet, duckdb, pydantic, yaml, click"


def spec(nodes: int) -> str:
    """A spec of so many nodes: families of five, each on the selection of the family before it."""
    head = ["version: 1", "name: feel", "models:", "  embedder: {use: hashing, params: {dim: 64}}", "tables:"]
    head += ["  pool:", "    source: pool.jsonl"]
    families = [_family(i, "pool" if i % 5 == 0 else f"picked_{i - 1}") for i in range((nodes - 1) // 5)]
    return "\n".join([*head, *families]) + "\n"


def _family(i: int, source: str) -> str:
    return f"""\
  kept_{i}:
    select: filter
    from: {source}
    params: {{where: length(output) > {i % 20}}}
    scores: [{{score: length, as: size_{i}}}, {{score: embedding, as: vector_{i}, model: embedder}}]
    tests: [{{rows: {{min: 1}}}}, {{unique: row_id}}]
  picked_{i}:
    select: top_k
    from: kept_{i}
    params: {{k: {2000 - i}, by: size_{i}_n_chars}}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    headline(f"Commands that have nothing to do, medians of {args.runs}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_jsonl(folder / "pool.jsonl", rows(3000, seed=1))
        for nodes in (51, 1001):
            (folder / f"{nodes}.yaml").write_text(spec(nodes))
        unchanged = setwright("build", folder / "51.yaml", "--home", folder / "home")
        measured(unchanged)
        commands = {
            "python, nothing": [sys.executable, "-c", "pass"],
            "python, libraries imported": [sys.executable, "-c", LIBRARIES],
            "setwright --help": setwright("--help"),
            "setwright plan, 1,001 nodes": setwright("plan", folder / "1001.yaml", "--home", folder / "none"),
            "setwright build, 51 nodes unchanged": unchanged,
        }
        found = medians(args.runs, *(lambda command=command: measured(command) for command in commands.values()))
    seconds = [run.wall_s for run in found]
    show(
        ("", "wall s", "CPU s", "peak MiB"),
        [(n, r.wall_s, r.cpu_s, r.peak_mib) for n, r in zip(commands, found, strict=True)],
    )
    for (what, value), goal in zip(list(zip(commands, seconds, strict=True))[2:], (0.3, 1.0, 1.0), strict=True):
        verdict(what, value, goal, unit=" s")


if __name__ == "__main__":
    main()
