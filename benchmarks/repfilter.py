"""`select: deita` against this machine's matrix product and, with its checkout at hand, against hkust-nlp/deita itself.

    python benchmarks/repfilter.py [--rows 5000 20000] [--dim 384] [--budget 6000] [--deita CHECKOUT]

The bound is the time of the products that the sequential rule needs, each looked-at row with every row kept before
it, at the best single-precision rate of this machine. Rows that fall early skip some of them, so the bound can be
beaten. Set OMP_NUM_THREADS=1 for the peer's best time: with more threads it waits for itself.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from _rows import InMemory, Scratch

from engine.operator import Params
from engine.registry import operator

DEITA = operator("select", "deita")
LIMIT = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 20_000])
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--budget", type=int, default=6_000)
    parser.add_argument("--deita", type=Path, help="a checkout of hkust-nlp/deita (needs torch and pandas)")
    args = parser.parse_args()
    vectors, scores = clusters(max(args.rows), args.dim)
    print(
        f"{'rows':>8} {'kept':>6} {'ours s':>8} {'bound s':>8} {'of bound':>8} {'deita s':>8} {'times':>6}  same rows"
    )
    for n in args.rows:
        report(vectors[:n], scores[:n], args.budget, args.deita)


def report(vectors: np.ndarray, scores: np.ndarray, budget: int, checkout: Path | None) -> None:
    seconds, selected = ours(vectors, scores, budget)
    kept = selected[np.argsort(-scores, kind="stable")]
    looked_at = np.flatnonzero(kept)[-1] + 1
    products = np.cumsum(kept)[:looked_at].sum()
    bound = 2 * vectors.shape[1] * products / gemm_rate(vectors)
    line = f"{len(vectors):8} {kept.sum():6} {seconds:8.3f} {bound:8.3f} {seconds / bound:8.2f}"
    if checkout is not None:
        peer_seconds, peer_selected = theirs(checkout, vectors, scores, budget)
        line += f" {peer_seconds:8.1f} {peer_seconds / seconds:5.0f}x  {np.array_equal(selected, peer_selected)}"
    print(line, flush=True)


def ours(vectors: np.ndarray, scores: np.ndarray, budget: int) -> tuple[float, np.ndarray]:
    """Best of three runs of the whole operator, verdict included."""
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    ids = [f"row {i:08}" for i in range(len(scores))]
    batch = pa.table({"row_id": ids, "embedding": embedding, "score": scores})
    params: Params = DEITA.params(budget=budget, max_similarity=LIMIT)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        verdict = DEITA.fn(InMemory(batch), params, Scratch(Path()))
        times.append(time.perf_counter() - began)
    return min(times), verdict["selected"].to_numpy()


def theirs(checkout: Path, vectors: np.ndarray, scores: np.ndarray, budget: int) -> tuple[float, np.ndarray]:
    """The published filter as it stands, rows sorted beforehand."""
    import pandas as pd

    spec = importlib.util.spec_from_file_location("deita_filter", checkout / "src/deita/selection/filter/base.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    filter_ = module.IterativeFilter(threshold=LIMIT, data_size=budget, chunk_size=100_000, device="cpu")
    filter_._sort = lambda frame: frame.sort_values("score", ascending=False, kind="stable")
    frame = pd.DataFrame({"embedding": list(vectors), "score": scores})
    began = time.perf_counter()
    kept = filter_.filter(frame).index
    seconds = time.perf_counter() - began
    selected = np.zeros(len(scores), bool)
    selected[kept] = True
    return seconds, selected


def gemm_rate(vectors: np.ndarray) -> float:
    """Floating-point operations per second of a float32 product, the best of 30."""
    a, b = vectors[:1024], vectors[:4096].T
    times = []
    for _ in range(30):
        began = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - began)
    return 2 * a.shape[0] * b.shape[1] * a.shape[1] / min(times)


def clusters(n: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows in 9,000 clusters of power-law size, cosines to the centre from 0.93 to 0.99; scores in [1, 36]."""
    rng = np.random.default_rng(11)
    sizes = 1 / np.arange(1, 9_001)
    topics = rng.standard_normal((200, dim), dtype=np.float32)
    centres = topics[rng.integers(0, 200, 9_000)] * 0.8 + rng.standard_normal((9_000, dim), dtype=np.float32)
    noise = rng.standard_normal((n, dim), dtype=np.float32)
    near = rng.uniform(0.93, 0.99, (n, 1)).astype(np.float32)
    centre = unit(centres)[rng.choice(9_000, n, p=sizes / sizes.sum())]
    scores = rng.uniform(1, 6, n) * rng.uniform(1, 6, n)
    return unit(centre * near + unit(noise) * np.sqrt(1 - near**2)), scores


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
