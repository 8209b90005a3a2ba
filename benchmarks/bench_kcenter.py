"""`select: k_center` against the loop of active-learning code, and against this machine's matrix products.

    python benchmarks/bench_kcenter.py [--rows 12500 25000 50000] [--loop 1000] [--budget 6000]

The loop is the usual one: scikit-learn's `pairwise_distances` to the last pick, the minimum so far, its largest. It is
timed for fewer picks, and makes the same ones as long as no two distances differ by less than float32 resolves. The
bound is the time of the products of all rows with all picks, in large blocks, without anything done to them. One thread
each; memory is what a process holds at its peak more than one that only loads the vectors.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _measure import headline, show, verdict
from _vectors import child, growth, loaded, matrix, products, selection, stored, timed

from engine.registry import operator

DIM = 384
TIMES, OF_BOUND, MEMORY = 50, 1.5, 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[12_500, 25_000, 50_000])
    parser.add_argument("--loop", type=int, default=1_000)
    parser.add_argument("--budget", type=int, default=6_000)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task:
        print(json.dumps(TASKS[args.task](args)))
        return
    headline(f"k-center, {DIM} numbers a row: {args.loop:,} picks of a loop, {args.budget:,} picks and their products")
    with tempfile.TemporaryDirectory() as folder:
        report(Path(folder), args)


def report(folder: Path, args: argparse.Namespace) -> None:
    rows, common = [], []
    for n in args.rows:
        file = stored(folder, n, DIM)
        few, _ = child(__file__, "setwright", "--file", file, "--budget", args.loop)
        loop, _ = child(__file__, "loop", "--file", file, "--budget", args.loop)
        many, process = child(__file__, "setwright", "--file", file, "--budget", args.budget)
        least, _ = child(__file__, "products", "--file", file, "--budget", args.budget)
        _, idle = child(__file__, "nothing", "--file", file)
        common.append(len(set(few["picks"]) & set(loop["picks"])))
        memory = process.peak_mib - idle.peak_mib
        times, ratio = loop["seconds"] / few["seconds"], many["seconds"] / least
        rows.append((f"{n:,}", few["seconds"], loop["seconds"], times, many["seconds"], least, ratio, memory))
    show(("rows", f"{args.loop:,} s", "loop s", "times", f"{args.budget:,} s", "products s", "ratio", "MiB more"), rows)
    print(f"picks that the loop makes, too: {', '.join(f'{n:,}' for n in common)} of {args.loop:,}")
    verdict(f"against the loop at {args.rows[-1]:,} rows", rows[-1][3], TIMES, at_least=True, unit=" times")
    verdict(f"of the products' time at {args.rows[-1]:,} rows", rows[-1][6], OF_BOUND, unit=" times")
    verdict("memory beyond the vectors", rows[-1][7], MEMORY, unit=" MiB")
    print(f"growth of seconds with rows: {growth(args.rows, [row[4] for row in rows]):.2f}\n")


def setwright(args: argparse.Namespace) -> dict[str, Any]:
    """The whole operator, verdict included; the better of two runs, as for the products."""
    table = loaded(args.file).drop_columns(["score"])
    work = selection("k_center", table, args.file.parent, budget=args.budget, start="row_id")
    (first, made), (second, _) = timed(work), timed(work)
    rank = made["select_rank"].fill_null(-1).to_numpy()
    return {"seconds": min(first, second), "picks": np.flatnonzero(rank >= 0).tolist()}


def bound(args: argparse.Namespace) -> float:
    """The products of all rows with so many of them."""
    vectors = matrix(loaded(args.file))
    return min(products(vectors, vectors[: args.budget]) for _ in range(2))


def loop(args: argparse.Namespace) -> dict[str, Any]:
    """Farthest-first as it is usually written."""
    from sklearn.metrics import pairwise_distances

    vectors = matrix(loaded(args.file))

    def farthest_first() -> list[int]:
        picks = [0]
        nearest = pairwise_distances(vectors, vectors[:1]).ravel()
        while len(picks) < args.budget:
            picks.append(int(nearest.argmax()))
            nearest = np.minimum(nearest, pairwise_distances(vectors, vectors[picks[-1:]]).ravel())
        return picks

    seconds, picks = timed(farthest_first)
    return {"seconds": seconds, "picks": picks}


def nothing(args: argparse.Namespace) -> dict[str, Any]:
    """What is in memory before anything is selected."""
    return {"rows": loaded(args.file).num_rows, "operator": operator("select", "k_center").name}


TASKS = {"setwright": setwright, "loop": loop, "products": bound, "nothing": nothing}


if __name__ == "__main__":
    main()
