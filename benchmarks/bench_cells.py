"""Selection among more rows than memory holds: semdedup by cells, and the best by score that differ (deita).

    python benchmarks/bench_cells.py [--rows 500000 1000000 2000000] [--dim 384] [--folder FOLDER]

Clustered float16 embeddings are written to FOLDER as Parquet, piece by piece; each run is a process of its own that
reads them from there, so that its peak memory is its own. FOLDER is removed at the end. Seconds are those of the wall,
with those of all threads beside them; `products` is what the matrix products alone take at this machine's best rate,
found before each run. Goals: under 8 GiB resident at any size, and time that grows at most as rows to the power 1.5.

    python benchmarks/bench_cells.py --graph [--rows 50000 100000 200000] [--dim 768]

The nearest 10 of each row by cells: time, and the share of the true ones that are found, for 1,000 rows; some 20 rows
in a cluster. Where rows have no clusters (`CENTRES` as many as rows) their nearest lie in any cell, and about half of
them are found. Goal: a recall of at least 0.95.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _measure import Measured, headline, measured, script, show, verdict
from _rows import Clusters, OnDisk, Scratch

from engine.registry import operator
from engine.vectors.index import Flat
from engine.vectors.nearly import nearly_nearest_k
from engine.vectors.ordered import Ordered
from engine.vectors.unit import UnitVectors

GIB, GROWTH, RECALL = 8, 1.5, 0.95
PIECE, CENTRES = 50_000, 200_000
CHECKED, K, PROBES = 1_000, 10, 32
RUNS = {"semdedup": {"eps": 0.1}, "deita": {"max_similarity": 0.9, "score": "score"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+")
    parser.add_argument("--dim", type=int)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "bench_cells")
    parser.add_argument("--graph", action="store_true")
    parser.add_argument("--run", help=argparse.SUPPRESS)  # one operator over FOLDER, in this process
    args = parser.parse_args()
    if args.run:
        one(args.run, args.folder)
    elif args.graph:
        graphs(args.rows or [50_000, 100_000, 200_000], args.dim or 768)
    else:
        try:
            tables(args.rows or [500_000, 1_000_000, 2_000_000], args.dim or 384, args.folder)
        finally:
            shutil.rmtree(args.folder, ignore_errors=True)


def tables(sizes: list[int], dim: int, folder: Path) -> None:
    headline(f"selection of rows x {dim} float16 on disk")
    clusters, runs = Clusters(CENTRES, dim), []
    for n in sorted(sizes):
        write(clusters, n, folder)
        for name in RUNS:
            took = measured(script("bench_cells.py", "--run", name, "--folder", folder), timeout=4 * 3600)
            runs.append((name, n, took))
            print(f"{name} {n:,}: {took.wall_s:.0f} s, {took.peak_mib:.0f} MiB", file=sys.stderr, flush=True)
    header = ("", "rows", "seconds", "cpu s", "products s", "MiB", "kept", "duplicates")
    show(header, [(name, n, took.wall_s, took.cpu_s, *found(took)) for name, n, took in runs])
    verdict("peak memory", max(took.peak_mib for *_, took in runs) / 1024, GIB, unit=" GiB")
    for name in RUNS if len(sizes) > 1 else ():
        small, *_, large = [(n, took.cpu_s) for run, n, took in runs if run == name]
        growth = math.log(large[1] / small[1]) / math.log(large[0] / small[0])
        verdict(f"growth of {name}: rows to the power", growth, GROWTH)


def found(took: Measured) -> tuple[float, float, int, int]:
    return took.json["products"], took.peak_mib, took.json["kept"], took.json["near"]


def write(clusters: Clusters, n: int, folder: Path) -> None:
    """Pieces of the table that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n // PIECE):
        file = folder / f"{number:05}.parquet"
        if not file.exists():
            pq.write_table(clusters.piece(number, PIECE, np.float16), file, compression="none", use_dictionary=False)


def one(name: str, folder: Path) -> None:
    """Run an operator, and print what the benchmark shows of it."""
    rows, op = OnDisk(folder), operator("select", name)
    n, dim = rows.num_rows, pq.read_schema(folder / "00000.parquet").field("embedding").type.list_size
    params = op.params(**RUNS[name], **({"budget": n // 100} if name == "deita" else {}))
    rate = gemm_rate(dim)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        found = op.fn(rows, params, Scratch(Path(scratch)))
    kept, reasons = found["selected"].to_numpy(), found["drop_reason"].value_counts().to_pylist()
    near = {count["values"]: count["counts"] for count in reasons}
    products = semdedup_products(n) if name == "semdedup" else int(kept.sum()) ** 2 / 2
    print(
        json.dumps(
            {
                "products": 2 * dim * products / rate,
                "kept": int(kept.sum()),
                "near": near.get("semantic_duplicate", 0) + near.get("near_duplicate", 0),
            }
        )
    )


def semdedup_products(n: int) -> float:
    """Rows against centroids and, on average half of a cell, against each other; k-means over its sample."""
    from engine.operators._cells import POINTS_PER_CELL, usual_cells

    cells = usual_cells(n)
    return n * cells + n * n / cells / 2 + 21 * POINTS_PER_CELL * cells * cells


def gemm_rate(dim: int) -> float:
    """Floating-point operations per second of a float32 product, the best of 20."""
    a, b = np.ones((1024, dim), np.float32), np.ones((dim, 4096), np.float32)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - began)
    return 2 * a.size * b.shape[1] / min(times)


def graphs(sizes: list[int], dim: int) -> None:
    headline(f"the {K} nearest of rows x {dim} by cells, {PROBES} of them looked into")
    lines = []
    for n in sorted(sizes):
        clusters = Clusters(n // 20, dim)
        column = pa.chunked_array(
            [clusters.piece(i, PIECE, np.float32)["embedding"].chunk(0) for i in range(n // PIECE)]
        )
        vectors = Ordered(UnitVectors(column), np.arange(n))
        began, cpu = time.perf_counter(), time.process_time()
        graph = nearly_nearest_k(vectors, K, PROBES, seed=1)
        seconds = time.perf_counter() - began, time.process_time() - cpu
        lines.append((f"{n:,} rows", *seconds, recall(vectors, graph.rows)))
    show(("", "seconds", "cpu s", "recall"), lines)
    verdict(f"recall@{K} of {max(sizes):,} rows", lines[-1][-1], RECALL, at_least=True)


def recall(vectors: Ordered, graph: np.ndarray) -> float:
    """The share of the true nearest that a graph holds, for some rows."""
    asked = np.sort(np.random.default_rng(0).choice(len(vectors), CHECKED, replace=False))
    _, true = Flat(vectors.rows(slice(0, len(vectors)))).search(vectors.rows(asked), K + 1)
    others = [[j for j in row if j != i][:K] for i, row in zip(asked.tolist(), true.tolist(), strict=True)]
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(others, graph[asked].tolist(), strict=True)]))


if __name__ == "__main__":
    main()
