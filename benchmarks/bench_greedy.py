"""`select: facility_location` and `select: dpp`: how their time grows, and what they take beside the plain algorithms.

    python benchmarks/bench_greedy.py [--rows 12500 25000 50000] [--budget 3000] [--picks 300]

Facility location: the graph of 64 nearest neighbours, beside the products of all rows with all rows and nothing done to
them, then lazy and stochastic picks. The greedy algorithm without lazy evaluation looks at all gains for each pick; it
is timed for a few picks and counted up. DPP: beside Algorithm 1 of Chen et al. (arXiv 1709.05135) as it is printed,
with the rows' coordinates in one array of rows times picks. One thread each; picks have to be the same.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _measure import headline, show, verdict
from _vectors import child, growth, loaded, matrix, products, stored, timed

from engine.vectors.facility import Facility, graph_of
from engine.vectors.nearest import nearest_k
from engine.vectors.ordered import Ordered
from engine.vectors.unit import UnitVectors
from engine.vectors.volume import most_volume

DIM, NEIGHBOURS, EPSILON = 384, 64, 0.01
TRIED = 5  # picks of the greedy algorithm without lazy evaluation
MEMORY = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[12_500, 25_000, 50_000])
    parser.add_argument("--budget", type=int, default=3_000)
    parser.add_argument("--picks", type=int, default=300)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task:
        print(json.dumps(TASKS[args.task](args)))
        return
    headline(f"Facility location, {args.budget:,} picks, and DPP, {args.picks:,} picks; {DIM} numbers a row")
    with tempfile.TemporaryDirectory() as folder:
        files = [stored(Path(folder), n, DIM) for n in args.rows]
        facility(args, files)
        dpp(args, files)


def facility(args: argparse.Namespace, files: list[Path]) -> None:
    rows = []
    for n, file in zip(args.rows, files, strict=True):
        took, process = child(__file__, "facility", "--file", file, "--budget", args.budget)
        _, idle = child(__file__, "nothing", "--file", file)
        memory = process.peak_mib - idle.peak_mib
        seconds = [took[name] for name in ("graph", "products", "lazy", "plain", "stochastic")]
        rows.append((f"{n:,}", *seconds, took["kept"], memory))
    show(("rows", "graph s", "products s", "lazy s", "plain s", "stochastic s", "of its value", "MiB more"), rows)
    verdict("memory beyond the vectors", rows[-1][-1], MEMORY, unit=" MiB")
    graph, lazy = (growth(args.rows, [row[column] for row in rows]) for column in (1, 3))
    print(f"growth of seconds with rows: graph {graph:.2f}, lazy picks {lazy:.2f}\n")


def dpp(args: argparse.Namespace, files: list[Path]) -> None:
    rows, common = [], []
    for n, file in zip(args.rows, files, strict=True):
        ours, _ = child(__file__, "dpp", "--file", file, "--picks", args.picks)
        printed, _ = child(__file__, "printed", "--file", file, "--picks", args.picks)
        common.append(len(set(ours["picks"]) & set(printed["picks"])))
        rows.append((f"{n:,}", ours["seconds"], printed["seconds"], printed["seconds"] / ours["seconds"]))
    show(("rows", "dpp s", "as printed s", "times"), rows)
    print(f"picks in common: {', '.join(map(str, common))} of {args.picks}")
    print(f"growth of seconds with rows: {growth(args.rows, [row[1] for row in rows]):.2f}\n")


def ordered(args: argparse.Namespace) -> Ordered:
    column = loaded(args.file)["embedding"]
    return Ordered(UnitVectors(column), np.arange(len(column)))


def facility_task(args: argparse.Namespace) -> dict[str, Any]:
    rows = ordered(args)
    n = len(rows)
    graph_seconds, graph = timed(lambda: graph_of(nearest_k(rows, NEIGHBOURS)))
    none = np.zeros(n, np.int64)
    one, other, tried = (Facility(graph, none) for _ in range(3))
    lazy, _ = timed(lambda: one.lazy(args.budget))
    stochastic, _ = timed(lambda: other.stochastic(args.budget, EPSILON, np.random.default_rng(1)))
    plain, _ = timed(lambda: [tried.pick(int(tried.gains(np.arange(n)).argmax())) for _ in range(TRIED)])
    vectors = rows.rows(slice(0, n))
    return {
        "graph": graph_seconds,
        "products": sum(products(vectors, vectors[start : start + 2048]) for start in range(0, n, 2048)),
        "lazy": lazy,
        "stochastic": stochastic,
        "plain": plain / TRIED * args.budget,
        "kept": other.similarity.sum() / one.similarity.sum(),
    }


def dpp_task(args: argparse.Namespace) -> dict[str, Any]:
    rows = ordered(args)
    seconds, picks = timed(lambda: most_volume(rows, np.ones(len(rows)), args.picks))
    return {"seconds": seconds, "picks": picks.tolist()}


def printed(args: argparse.Namespace) -> dict[str, Any]:
    """Algorithm 1, with all qualities 1."""
    vectors = matrix(loaded(args.file)).astype(np.float64)

    def greedy() -> list[int]:
        left, coordinates = np.ones(len(vectors)), np.zeros((args.picks, len(vectors)))
        picks: list[int] = []
        while len(picks) < args.picks:
            at, k = int(left.argmax()), len(picks)
            fresh = vectors @ vectors[at] - coordinates[:k, at] @ coordinates[:k]
            coordinates[k] = fresh / np.sqrt(left[at])
            left -= coordinates[k] ** 2
            left[at] = -np.inf
            picks.append(at)
        return picks

    seconds, picks = timed(greedy)
    return {"seconds": seconds, "picks": picks}


def nothing(args: argparse.Namespace) -> dict[str, Any]:
    """What is in memory before anything is selected."""
    return {"rows": loaded(args.file).num_rows}


TASKS = {"facility": facility_task, "dpp": dpp_task, "printed": printed, "nothing": nothing}


if __name__ == "__main__":
    main()
