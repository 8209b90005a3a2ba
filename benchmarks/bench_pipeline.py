"""JSONL to scored and filtered Parquet: a spec against polars written by hand for the same six statistics.

    python benchmarks/bench_pipeline.py [--rows 52000 500000] [--runs 3] [--data FILE.jsonl]

Both are whole commands in fresh processes. Setwright also writes what it promises: an object for each step with the
reason of every drop, row ids, a manifest and a catalog. The columns are compared; polars counts an English stop word
by a regular expression of its own, so the kept rows differ by a few in ten thousand. Goal: at most 1.5 times polars.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import tempfile
from pathlib import Path

from _data import texts, write_jsonl
from _measure import Measured, headline, measured, medians, script, setwright, show, verdict

GOAL = 1.5
STOP = (
    "the a an of to in and or is are was were be been for on with as by at from that this it its he she they you i we "
    "his her their your not but have has had do does did what which who how when where can will would if then there"
)
WHERE = (
    "n_words BETWEEN 10 AND 1000 AND n_chars BETWEEN 20 AND 6000 AND alnum_ratio >= 0.5 AND special_ratio <= 0.3 "
    "AND avg_line_length >= 10 AND stopword_ratio >= 0.05"
)
SPEC = f"""
version: 1
name: pipeline
tables:
  pool:
    source: data.jsonl
    scores: [length, text_statistics]
  kept:
    select: filter
    from: pool
    params: {{where: "{WHERE}"}}
  final:
    sql: SELECT * FROM kept
"""


def by_hand(source: str, target: str) -> None:
    """The limit: one lazy polars query, streamed to Parquet."""
    import polars as pl

    text, n, words = pl.col("text"), pl.col("n_chars"), pl.col("n_words")
    stop = r"(?:^|\s)(?:" + "|".join(STOP.split()) + r")(?:$|\b)"
    counts = {
        "alnum": text.str.count_matches(r"[\p{L}\p{N}]").cast(pl.Int64),
        "white": text.str.count_matches(r"\s").cast(pl.Int64),
        "lines": text.str.count_matches("\n", literal=True) + 1,
        "stopwords": text.str.to_lowercase().str.count_matches(stop),
    }
    rows = (
        pl.scan_ndjson(source, infer_schema_length=100)
        .with_columns(
            n_chars=text.str.len_chars().cast(pl.Int64), n_words=text.str.count_matches(r"\S+").cast(pl.Int64), **counts
        )
        .with_columns(
            alnum_ratio=pl.col("alnum") / n, special_ratio=(n - pl.col("alnum") - pl.col("white")) / n,
            avg_line_length=n / pl.col("lines"), avg_word_length=(n - pl.col("white")) / words,
            stopword_ratio=pl.col("stopwords") / words,
        )
        .drop(counts)
        .filter(pl.sql_expr(WHERE))
    )  # fmt: skip
    rows.sink_parquet(target, compression="zstd", compression_level=1)


def measure(n: int, runs: int, data: Path | None, folder: Path) -> None:
    """Both sides by turns on one file, and the verdict."""
    source = folder / "data.jsonl"
    if data is None:
        write_jsonl(source, texts(n, seed=1))
    else:
        with data.open(encoding="utf-8") as lines:
            source.write_text("".join(itertools.islice(lines, n)), encoding="utf-8")
    (folder / "spec.yaml").write_text(SPEC)
    home, target = folder / "home", folder / "polars.parquet"

    def ours() -> Measured:
        shutil.rmtree(home, ignore_errors=True)
        return measured(setwright("build", folder / "spec.yaml", "--home", home, "--json"))

    def theirs() -> Measured:
        return measured(script("bench_pipeline.py", "--by-hand", source, target))

    one, other = medians(runs, ours, theirs)
    rows = [(name, run.wall_s, run.cpu_s, run.peak_mib) for name, run in (("setwright", one), ("polars", other))]
    rows.append(("ratio", one.wall_s / other.wall_s, one.cpu_s / other.cpu_s, one.peak_mib / other.peak_mib))
    show((f"{n:,} rows", "wall s", "CPU s", "peak MiB"), rows)
    show(
        ("step", "rows", "seconds"), [(s["step"], s["selected"] or s["rows"], s["seconds"]) for s in one.json["steps"]]
    )
    print(f"kept: {one.json['steps'][-1]['rows']:,}, by polars {kept(target):,}")
    verdict(f"wall time of {n:,} rows, times polars", one.wall_s / other.wall_s, GOAL)
    print()


def kept(target: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(target).num_rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[52_000, 500_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--data", type=Path, help="JSON lines with a field `text`, in the place of made-up ones")
    parser.add_argument("--by-hand", nargs=2, metavar=("SOURCE", "TARGET"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.by_hand:
        by_hand(*args.by_hand)
        return
    headline(f"JSONL to filtered and scored Parquet, medians of {args.runs}")
    for n in args.rows:
        with tempfile.TemporaryDirectory() as folder:
            measure(n, args.runs, args.data, Path(folder))


if __name__ == "__main__":
    main()
