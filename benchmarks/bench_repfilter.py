"""`select: deita` against hkust-nlp/deita's own filter, and against this machine's matrix products.

    git clone https://github.com/hkust-nlp/deita
    python benchmarks/bench_repfilter.py --deita deita [--rows 5000 10000 20000] [--large 25000 50000 100000]

The published filter runs as it stands, batch size 1, on one thread (its best: with more they wait for one another), on
rows sorted beforehand; both keep up to 6,000 rows and have to keep the same ones. The bound for the large tables, of
which all rows are looked at, is the time of the products that the sequential rule needs, each row with every row kept
before it, at this machine's best rate for single precision; rows that fall early skip some, so it can be beaten. Memory
is what a process holds at its peak more than one that only loads the vectors. It needs torch, pandas and tqdm.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from _measure import headline, show, verdict
from _vectors import child, growth, loaded, matrix, products, selection, stored, timed

from engine.registry import operator

LIMIT, BUDGET, ALL = 0.9, 6_000, 10**9
TIMES, OF_BOUND, MEMORY = 150, 2, 150
SMALL_DIM, LARGE_DIM = 384, 1_024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 10_000, 20_000])
    parser.add_argument("--large", type=int, nargs="*", default=[25_000, 50_000, 100_000])
    parser.add_argument("--deita", type=Path, help="a checkout of hkust-nlp/deita")
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--budget", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task:
        print(json.dumps(TASKS[args.task](args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if args.deita:
            headline(f"The Repr Filter: cosines up to {LIMIT}, up to {BUDGET:,} rows, {SMALL_DIM} numbers a row")
            against_deita(Path(folder), args.rows, args.deita)
        if args.large:
            headline(f"The Repr Filter over whole tables, {LARGE_DIM:,} numbers a row")
            against_products(Path(folder), args.large)


def against_deita(folder: Path, sizes: list[int], checkout: Path) -> None:
    rows, same = [], True
    for n in sizes:
        file = stored(folder, n, SMALL_DIM)
        ours, _ = child(__file__, "setwright", "--file", file, "--budget", BUDGET)
        theirs, _ = child(__file__, "deita", "--file", file, "--budget", BUDGET, "--deita", checkout)
        same &= ours["digest"] == theirs["digest"]
        times = theirs["seconds"] / ours["seconds"]
        rows.append((f"{n:,}", ours["kept"], ours["seconds"], theirs["seconds"], times))
    show(("rows", "kept", "setwright s", "deita s", "times"), rows)
    print(f"the same rows: {'yes' if same else 'NO'}")
    verdict(f"against deita at {sizes[-1]:,} rows", rows[-1][-1], TIMES, at_least=True, unit=" times")
    print(f"growth of seconds with rows: {growth(sizes, [row[2] for row in rows]):.2f}\n")


def against_products(folder: Path, sizes: list[int]) -> None:
    rows = []
    for n in sizes:
        file = stored(folder, n, LARGE_DIM)
        ours, process = child(__file__, "setwright", "--file", file, "--budget", ALL)
        bound = ours["pairs"] / child(__file__, "rate", "--file", file)[0]
        _, idle = child(__file__, "nothing", "--file", file)
        file.unlink()
        memory = process.peak_mib - idle.peak_mib
        rows.append((f"{n:,}", ours["kept"], ours["seconds"], bound, ours["seconds"] / bound, memory))
    show(("rows", "kept", "setwright s", "products s", "ratio", "MiB more"), rows)
    verdict(f"of the products' time at {sizes[-1]:,} rows", rows[-1][4], OF_BOUND, unit=" times")
    verdict("memory beyond the vectors", rows[-1][5], MEMORY, unit=" MiB")
    print(f"growth of seconds with rows: {growth(sizes, [row[2] for row in rows]):.2f}\n")


def setwright(args: argparse.Namespace) -> dict[str, Any]:
    """The whole operator, verdict included: the best of three where it takes little."""
    table = loaded(args.file)
    work = selection("deita", table, args.file.parent, budget=args.budget, max_similarity=LIMIT)
    seconds, made = min((timed(work) for _ in range(3 if args.budget == BUDGET else 1)), key=lambda run: run[0])
    selected = made["selected"].to_numpy()
    in_order = selected[np.argsort(-table["score"].to_numpy(), kind="stable")]
    pairs = np.cumsum(in_order)[: np.flatnonzero(in_order)[-1] + 1].sum()
    return outcome(seconds, selected) | {"pairs": int(pairs)}


def rate(args: argparse.Namespace) -> float:
    """The best rate of products, in pairs of rows a second."""
    vectors = matrix(loaded(args.file))
    some, others = vectors[:1024], vectors[:4096]
    return len(some) * len(others) / min(products(some, others) for _ in range(20))


def published(args: argparse.Namespace) -> dict[str, Any]:
    """The published filter as it stands."""
    import pandas as pd

    table = loaded(args.file)
    frame = pd.DataFrame({"embedding": list(matrix(table)), "score": table["score"].to_numpy()})
    module = filter_module(args.deita)
    chosen = module.IterativeFilter(threshold=LIMIT, data_size=args.budget, chunk_size=100_000, device="cpu")
    chosen._sort = lambda frame: frame.sort_values("score", ascending=False, kind="stable")
    seconds, kept = timed(lambda: chosen.filter(frame).index)
    selected = np.zeros(len(frame), bool)
    selected[kept] = True
    return outcome(seconds, selected)


def filter_module(checkout: Path) -> ModuleType:
    """The file of the filter by itself: its package would ask for vllm."""
    path = checkout / "src/deita/selection/filter/base.py"
    spec = importlib.util.spec_from_file_location("deita_filter", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(seconds: float, selected: np.ndarray) -> dict[str, Any]:
    digest = hashlib.sha256(np.flatnonzero(selected).tobytes()).hexdigest()
    return {"seconds": seconds, "kept": int(selected.sum()), "digest": digest}


def nothing(args: argparse.Namespace) -> dict[str, Any]:
    """What is in memory before anything is selected."""
    return {"rows": loaded(args.file).num_rows, "operator": operator("select", "deita").name}


TASKS = {"setwright": setwright, "deita": published, "rate": rate, "nothing": nothing}


if __name__ == "__main__":
    main()
