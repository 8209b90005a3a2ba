"""A real data set from file to selection: Alpaca's 52,002 rows, and what changes cost afterwards.

    python benchmarks/bench_alpaca.py [--data alpaca_52k.parquet]

Statistics, hashed embeddings, a deita selection of 6,000 rows and data tests. Then the budget is changed, which must
rebuild the selection and its tests alone. Then 1 % of rows are appended to the source of a spec that asks a model
(a fake server) about every row: the view `calls` must hold the new rows and no others. Goal: a peak of 1.5 GiB.
Without --data the same is done with as many made-up rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from _data import rows
from _measure import Measured, fake_server, headline, measured, server_stats, setwright, show, verdict

PEAK_MIB = 1536
SPEC = """
version: 1
name: alpaca
models:
  embedder: {{use: hashing, params: {{dim: 256}}}}
tables:
  pool:
    source: pool.parquet
    scores: [length, text_statistics, {{score: embedding, model: embedder}}]
  clean:
    select: filter
    from: pool
    params: {{where: n_words BETWEEN 3 AND 1000 AND alnum_ratio >= 0.5}}
  curated:
    select: deita
    from: clean
    params: {{budget: {budget}, max_similarity: 0.9, score: n_words * alnum_ratio}}
    tests:
      - rows: {{min: {budget}, max: {budget}}}
      - unique: row_id
      - not_null: [instruction, response]
      - range: {{column: alnum_ratio, min: 0.5, max: 1}}
"""
ASKING = """
version: 1
name: asking
models:
  teacher: {{use: openai, model: fake, base_url: "{url}", params: {{temperature: 0.7}}}}
tables:
  pool:
    source: pool.parquet
  answers:
    generate: respond
    from: pool
    model: teacher
"""


class Trial:
    """A folder with the data, a spec and a home."""

    def __init__(self, folder: Path, data: pa.Table) -> None:
        self.folder, self.data = folder, data

    def build(self, spec: str, rows: int) -> Measured:
        """Build a spec over the first rows of the data; the steps of `build --json` are in `.json`."""
        pq.write_table(self.data.slice(0, rows), self.folder / "pool.parquet")
        (self.folder / "spec.yaml").write_text(spec)
        return measured(setwright("build", self.folder / "spec.yaml", "--home", self.folder / "home", "--json"))

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Ask the catalog of the last build."""
        command = setwright("sql", self.folder / "spec.yaml", query, "--home", self.folder / "home", "--json")
        return json.loads(measured(command).output)


def curate(trial: Trial) -> None:
    """The whole build step by step, then the same with another budget."""
    total = trial.data.num_rows
    first = trial.build(SPEC.format(budget=6000), total)
    steps = trial.sql("SELECT step, rows, selected, seconds FROM builds ORDER BY started")
    show(("step", "rows", "seconds"), [(s["step"], s["selected"] or s["rows"], s["seconds"]) for s in steps])
    again = trial.build(SPEC.format(budget=5000), total)
    rebuilt = [s["step"] for s in again.json["steps"] if s["state"] != "cached"]
    show(
        ("", "wall s", "CPU s", "peak MiB"),
        [(n, r.wall_s, r.cpu_s, r.peak_mib) for n, r in (("first build", first), ("another budget", again))],
    )
    print(f"rebuilt for another budget: {', '.join(rebuilt)}")
    verdict("peak memory", max(first.peak_mib, again.peak_mib), PEAK_MIB, unit=" MiB")
    verdict("steps rebuilt for another budget", len(rebuilt), 2)
    print()


def append(trial: Trial) -> None:
    """Ask a model about 99 % of the rows, then about all of them."""
    total, most = trial.data.num_rows, trial.data.num_rows * 99 // 100
    calls = (
        "SELECT build, count(*) AS calls, count(DISTINCT row_id) AS about FROM calls WHERE error IS NULL GROUP BY ALL"
    )
    with fake_server(latency_ms=5) as url:
        took = [trial.build(ASKING.format(url=url), n) for n in (most, total)]
        stats = server_stats(url)
    sent = trial.sql(f"{calls} ORDER BY build")
    header = ("", "rows", "calls in the view", "wall s", "CPU s", "peak MiB")
    names = ("99 % of the rows", "1 % appended")
    show(
        header,
        [
            (name, n, s["calls"], r.wall_s, r.cpu_s, r.peak_mib)
            for name, n, s, r in zip(names, (most, total), sent, took, strict=True)
        ],
    )
    print(f"requests that the server saw: {stats['requests']:,}, of which repeated: {stats['repeats']:,}")
    verdict("calls for 1 % of new rows", sent[1]["calls"], total - most)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="Alpaca as Parquet: instruction, input, output")
    args = parser.parse_args()
    data = pq.read_table(args.data) if args.data else pa.Table.from_pylist(list(rows(52_002, seed=1)))
    headline(f"{args.data.name if args.data else 'made-up rows'}: {data.num_rows:,} rows")
    for part in (curate, append):
        with tempfile.TemporaryDirectory() as folder:
            part(Trial(Path(folder), data))


if __name__ == "__main__":
    main()
