"""How many of a server's slots UltraPrompt keeps busy, from the ledger's `calls` by SQL.

    python benchmarks/bench_tree_slots.py [--trees 2400] [--iterations 20] [--concurrency 256] [--latency-ms 50]

The server is a process of its own on loopback with a fixed latency. One served model rewrites, answers and rates, so
all calls of all trees compete for the same slots. A call holds one from `called_at - latency_s`, when it was sent, to
`called_at`, when its answer was on disk. Looked at is the time from the first answer until 5 % of the trees are left.
Goal: 90 % of the slots busy.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from _data import rows, write_jsonl
from _measure import fake_server, headline, measured, server_stats, setwright, show, verdict

BUSY = 0.9
SPEC = """
version: 1
name: slots
models:
  served: {{use: openai, model: tokenises, base_url: "{url}"}}
tables:
  seeds: {{source: seeds.jsonl, params: {{shape: raw}}}}
  trees:
    generate: ultraprompt
    from: seeds
    models: {{rewriter: served, responder: served, reward: served}}
    params: {{reward: rating, iterations: {iterations}}}
run: {{concurrency: {concurrency}}}
"""
LEVELS = """
WITH ends AS (SELECT row_id, max(called_at) AS ended FROM calls GROUP BY row_id),
     span AS (SELECT (SELECT min(called_at) FROM calls) AS begun, quantile_disc(ended, 0.95) AS ended FROM ends),
     events AS (SELECT called_at - to_microseconds((latency_s * 1e6)::BIGINT) AS moment, 1 AS step FROM calls
                UNION ALL SELECT called_at, -1 FROM calls),
     levels AS (SELECT moment, least(sum(step) OVER way, {slots}) / {slots} AS busy,
                       epoch(lead(moment) OVER way) - epoch(moment) AS seconds
                FROM events WINDOW way AS (ORDER BY moment, step ROWS UNBOUNDED PRECEDING))
SELECT sum(busy * seconds) / sum(seconds) AS mean_busy,
       coalesce(sum(seconds) FILTER (busy < {busy}), 0) / sum(seconds) AS below, sum(seconds) AS seconds,
       (SELECT count(*) FROM calls, span WHERE called_at BETWEEN begun AND ended) AS calls
FROM levels, span WHERE moment >= begun AND moment < ended
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trees", type=int, default=2400)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency-ms", type=float, default=50)
    args = parser.parse_args()
    headline(f"{args.trees:,} trees of {args.iterations} iterations, {args.concurrency} slots, {args.latency_ms:g} ms")
    with tempfile.TemporaryDirectory() as folder, fake_server(args.latency_ms) as url:
        search(Path(folder), url, args)


def search(folder: Path, url: str, args: argparse.Namespace) -> None:
    """One build, what its calls say of the slots, and what the server saw."""
    spec, home = folder / "spec.yaml", folder / "home"
    write_jsonl(folder / "seeds.jsonl", ({"instruction": row["instruction"]} for row in rows(args.trees, seed=1)))
    spec.write_text(SPEC.format(url=url, iterations=args.iterations, concurrency=args.concurrency))
    built = measured(setwright("build", spec, "--home", home, "--json"), timeout=3600)
    step = next(s for s in built.json["steps"] if s["step"] == "trees")
    query = LEVELS.format(slots=args.concurrency, busy=BUSY)
    (told,) = measured(setwright("sql", spec, query, "--home", home, "--json")).json
    seen = server_stats(url)
    rate = told["calls"] / told["seconds"]
    show(
        ("", "figure"),
        [
            ("calls sent", step["calls_sent"]),
            ("seconds of the step", step["seconds"]),
            ("slots busy, mean", told["mean_busy"]),
            ("share of the time with less than 90 % busy", told["below"]),
            ("calls/s", rate),
            ("calls/s, share of what the slots could take", rate * args.latency_ms / 1000 / args.concurrency),
            ("most calls at the server at once", seen["peak_in_flight"]),
            ("CPU ms a call", built.cpu_s / step["calls_sent"] * 1000),
            ("peak MiB", built.peak_mib),
        ],
    )
    verdict("slots busy until the last 5 % of trees", told["mean_busy"], BUSY, at_least=True)


if __name__ == "__main__":
    main()
