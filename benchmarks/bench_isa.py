"""The entropy scores of ISA for a million embeddings: seconds, memory, and growth; against scikit-learn; the plateau.

    pip install scikit-learn
    python benchmarks/bench_isa.py [--rows 1000000] [--dim 256] [--fit-rows 20000] [--steps 5] [--folder FOLDER]

`score: isa` runs over a Parquet file, part by part, in a process of its own, at a quarter, half and all of the rows.
The mixture is fitted to `--fit-rows` of them, drawn by their ids; the seconds of the fit stand apart from those of the
passes over all rows, which put the vectors in the order of row_id and score them. scikit-learn's GaussianMixture makes
as many steps as ours over as many rows, with the same two components of full covariance; then both score the same rows
with its parameters. At last the plateau is fitted to the points that the paper measured, and beside that b alone, with
r and a as published: the paper seems to have fitted no more. Seconds are those of the processor, on one thread.
Goals: passes that take time in proportion to the rows, memory that grows by less than a quarter of the vectors (by ids
and scores), likelihoods equal to 1e-6, no more processor time and memory for a fit than scikit-learn, a million rows in
two minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _measure import headline, measured, script, show, verdict

from engine.statistics.plateau import Plateau, fit, intervals

PART = 10_000
ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads that wait for one another take time, too
LATENT = 24
SHARES = np.array([0.0, 10, 25, 50, 75, 100])
PAPER = {
    "HH golden": ((83.1681, 18.2681, 0.3), (18.27, 78.73, 81.32, 81.60, 83.17, 82.71)),
    "OpenAssistant1": ((24.6601, 8.4452, 0.02), (8.45, 15.23, 10.42, 17.51, 21.69, 24.66)),
    "UltraFeedback": ((27.4849, 7.6038, 0.055), (7.60, 17.13, 23.74, 23.98, 27.48, 26.87)),
}
GROWTH, MEMORY, DIFFERENCE, SECONDS = 1.15, 0.25, 1e-6, 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--fit-rows", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="for some GiB of embeddings")
    parser.add_argument("--side", nargs=3, metavar=("WAY", "FILE", "N"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        way, file, n = args.side
        print(json.dumps(SIDES[way](Path(file), int(n))))
        return
    headline(f"ISA over embeddings of {args.dim} dimensions")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        growth(Path(folder), args.rows, args.dim, args.fit_rows)
        against_scikit_learn(Path(folder), args.fit_rows, args.dim, args.steps)
    plateau()


def write(path: Path, rows: int, dim: int) -> Path:
    """Embeddings that no Gaussian is exactly: a few skewed directions under noise, in two overlapping groups."""
    rng = np.random.default_rng(0)
    axes = rng.standard_normal((LATENT, dim), np.float32)
    kind = pa.list_(pa.float32(), dim)
    schema = pa.schema([("row_id", pa.string()), ("embedding", kind)])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, rows, PART):
            count = min(PART, rows - start)
            latent = rng.exponential(1, (count, LATENT)).astype(np.float32) + (rng.random((count, 1)) < 0.4)
            vectors = latent @ axes + rng.standard_normal((count, dim), np.float32)
            ids = pa.array([f"{value:016x}" for value in rng.integers(0, 2**63, count)])
            lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), type=kind)
            writer.write_table(pa.table([ids, lists], schema=schema), row_group_size=PART)
    return path


def growth(folder: Path, rows: int, dim: int, fit_rows: int) -> None:
    """Three sizes, each in a process of its own."""
    sizes = [rows // 4, rows // 2, rows]
    found = []
    for size in sizes:
        file = write(folder / "rows.parquet", size, dim)
        run = measured(script("bench_isa.py", "--side", "score", file, fit_rows), env=ALONE, timeout=3600)
        found.append((run.json, run))
        file.unlink()
    show(
        ("rows", "to order s", "fit s", "steps", "score s", "wall s", "peak MiB", "vectors MiB"),
        [
            (
                f"{size:,}",
                s["order"],
                s["fit"],
                s["steps"],
                s["score"],
                run.wall_s,
                run.peak_mib,
                4 * dim * size / 2**20,
            )
            for size, (s, run) in zip(sizes, found, strict=True)
        ],
    )
    passes = [s["order"] + s["score"] for s, _ in found]
    exponent = np.log(passes[2] / passes[0]) / np.log(4)
    verdict("growth of the passes over all rows, exponent", float(exponent), GROWTH)
    more = found[2][1].peak_mib - found[1][1].peak_mib
    verdict("memory for each further byte of vectors", more / (4 * dim * (sizes[2] - sizes[1]) / 2**20), MEMORY)
    verdict(f"{rows:,} rows, fit and passes", passes[2] + found[2][0]["fit"], SECONDS, unit=" s")
    print()


class FileRows:
    """The `Rows` of a Parquet file, a row group a part."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        self.num_rows = self._file.metadata.num_rows
        self.columns = ["embedding"]

    def whole(self, *columns: str) -> pa.Table:
        """row_id and these columns of all rows."""
        return self._file.read(["row_id", *columns])

    def parts(self, *columns: str) -> Any:
        """The same, part by part."""
        for group in range(self._file.num_row_groups):
            yield self._file.read_row_group(group, ["row_id", *columns])


def score(path: Path, fit_rows: int) -> dict[str, float]:
    """`score: isa` stage by stage, as the operator calls them."""
    import pyarrow.compute as pc

    from engine.operators.scorers import isa as room

    class Here:
        seed = 17
        scratch = Path(tempfile.mkdtemp(dir=path.parent))

    rows, params = FileRows(path), room.IsaParams(fit_rows=fit_rows)
    began = [time.process_time()]
    ids = rows.whole()["row_id"]
    order = pc.sort_indices(ids).to_numpy().astype(np.int64)
    shelf, known = room._shelved(rows, order, Here.scratch)
    began.append(time.process_time())
    drawn = room._drawn(ids.take(pa.array(order)), known, params.fit_rows, Here.seed)
    turn, fitted = room._fitted(shelf, drawn, params, Here)
    began.append(time.process_time())
    found = room._scores(shelf, known, turn, fitted)
    began.append(time.process_time())
    assert found.shape[1] == rows.num_rows
    return dict(zip(("order", "fit", "score"), np.diff(began).tolist(), strict=True)) | {"steps": fitted.steps}


def against_scikit_learn(folder: Path, rows: int, dim: int, steps: int) -> None:
    """The same steps of expectation maximisation by both, in processes of their own."""
    file = write(folder / "peer.parquet", rows, dim)
    names = {"ours": "engine", "theirs": "scikit-learn", "theirs32": "scikit-learn, float32"}
    runs = {way: measured(script("bench_isa.py", "--side", way, file, steps), env=ALONE, timeout=3600) for way in names}
    show(
        (f"{rows:,} rows, {steps} steps", "fit CPU s", "fit s", "peak MiB", "mean log-likelihood"),
        [
            (name, runs[way].json["cpu"], runs[way].json["wall"], runs[way].peak_mib, f"{runs[way].json['loglik']:.4f}")
            for way, name in names.items()
        ],
    )
    ours, theirs = runs["ours"], runs["theirs"]
    verdict("CPU of the fit against scikit-learn's", ours.json["cpu"] / theirs.json["cpu"], 1, unit=" times")
    verdict("memory against scikit-learn's", ours.peak_mib / theirs.peak_mib, 1, unit=" times")
    verdict("relative difference of a log-likelihood", theirs.json["apart"], DIFFERENCE)
    print()


def ours(path: Path, steps: int) -> dict[str, float]:
    from engine.statistics.mixture import fit as fit_mixture
    from engine.vectors.unit import matrix

    rows = FileRows(path)

    def blocks() -> Any:
        for part in rows.parts("embedding"):
            yield from (matrix(chunk, part["embedding"].type.list_size) for chunk in part["embedding"].chunks)

    began = time.perf_counter(), time.process_time()
    found = fit_mixture(blocks, seed=1, tol=1e-300, max_iter=steps)
    return {"wall": time.perf_counter() - began[0], "cpu": time.process_time() - began[1], "loglik": found.loglik}


def theirs(path: Path, steps: int, kind: type[np.floating] = np.float64) -> dict[str, float]:
    import warnings

    from engine.statistics.mixture import Mixture

    try:
        from sklearn.mixture import GaussianMixture
    except ImportError:
        sys.exit("this compares with scikit-learn: pip install scikit-learn")
    warnings.simplefilter("ignore")  # that so few steps don't converge
    table = FileRows(path).whole("embedding")
    flat = np.concatenate([chunk.flatten().to_numpy() for chunk in table["embedding"].chunks])
    vectors = flat.reshape(table.num_rows, -1).astype(kind)
    began = time.perf_counter(), time.process_time()
    model = GaussianMixture(2, tol=0, max_iter=steps, random_state=1).fit(vectors)
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    same = Mixture.of(model.weights_, model.means_, model.covariances_).parts(vectors[:5000])[0]
    apart = np.abs(same / model.score_samples(vectors[:5000]) - 1).max()
    return {"wall": wall, "cpu": cpu, "loglik": float(model.lower_bound_), "apart": float(apart)}


SIDES = {"score": score, "ours": ours, "theirs": theirs, "theirs32": partial(theirs, kind=np.float32)}


def plateau() -> None:
    """The law through the paper's points, as published and as fitted."""
    lines = []
    for name, (published, measured_points) in PAPER.items():
        y = np.array(measured_points)
        law = fit(SHARES, y)
        ends = intervals(law, SHARES, y, 0.95, seed=0)
        grid = np.geomspace(1e-3, 1, 20_000)
        left = [((y - Plateau(*published[:2], b).at(SHARES)) ** 2).sum() for b in grid]
        lines.append((name, "published", *published, np.sqrt(np.mean((y - Plateau(*published).at(SHARES)) ** 2))))
        lines.append(("", "b alone", *published[:2], grid[np.argmin(left)], np.sqrt(min(left) / len(y))))
        lines.append(("", "all fitted", law.r, law.a, law.b, np.sqrt(np.mean((y - law.at(SHARES)) ** 2))))
        lines += [("", f"{end}, 95 %", *(getattr(ends[key], end) for key in "rab"), "") for end in ("low", "high")]
    show(("data", "", "r", "a", "b", "rms apart"), lines)


if __name__ == "__main__":
    main()
