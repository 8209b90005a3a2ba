"""A judge of pairs against the people who labelled them: its agreement with them, beside theirs with one another.

    python benchmarks/bench_judge.py [--pairs 100] [--form marks] [--model NAME --base-url URL] [--data FILE]

PandaLM's pairs (Wang et al., arXiv 2306.05087), each labelled by three people. The judge is `score: judge` as a build
asks it: the model inside the package, or with `--base-url` one behind a server. Two scripted judges have figures that
follow from the labels alone, a check of the arithmetic: one always prefers the first place, one finds all answers
alike. A call that fails (a pair too long for the model) and a reply that can't be read agree with nobody. Intervals are
by the bootstrap over pairs (95 %). What a judge reaches has no goal: the model inside the package can't judge.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
from _measure import HERE, headline, show, verdict

from engine.builds import build
from engine.errors import ExitCode
from engine.spec.load import load_spec
from engine.statistics.intervals import Interval, bootstrap, mean
from engine.statistics.ranks import agreement_rate, cohen_kappa

DATA = HERE.parent / "../shared/data/preferences/pandalm_human.parquet"
LABELS = ("tie", "chosen", "rejected")  # of the data's 0, 1 and 2
PEOPLE = ("annotator_1", "annotator_2", "annotator_3")
ALWAYS = {"always the first": "[[A]]", "always a tie": "[[C]]"}
SEED = 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--form", choices=("letter", "marks"), default="letter")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--model", help="the name of a served model")
    parser.add_argument("--base-url", help="of its server, as in http://localhost:8000/v1; the key is OPENAI_API_KEY")
    args = parser.parse_args()
    rows = drawn(args.data, args.pairs)
    headline(f"{len(rows)} labelled pairs, judged in both orders")
    people = np.array([[row[name] for row in rows] for name in PEOPLE])
    majority = np.array([row["majority"] for row in rows])
    judge, form = model_of(args), {"form": args.form, "max_tokens": args.max_tokens}
    found = {name: judged(rows, scripted(text), {}) for name, text in ALWAYS.items()}
    found[args.model or "embedded"] = judged(rows, judge, form)
    show(("", "read", "agrees with the majority", "with a person", "kappa", "flips", "first place"), [
        *(told(name, one, majority, people) for name, one in found.items()),
        ("one person", 1.0, "", shown(between(people, agreement_rate)), shown(between(people, cohen_kappa)), "", ""),
    ])  # fmt: skip
    ties = float((majority == 0).mean())
    wrong = max(abs(float((one.verdicts == majority).mean()) - ties) for one in map(found.get, ALWAYS) if one)
    wrong += abs(found["always the first"].flips.mean() - 1) + found["always a tie"].flips.mean()
    verdict("how far the scripted judges are from what the labels say of them", wrong, 0)


def drawn(path: Path, n: int) -> list[dict[str, Any]]:
    """So many of the pairs that have an instruction, the same ones each time."""
    rows = [row for row in pq.read_table(path).to_pylist() if row["instruction"]]
    chosen = np.random.default_rng(SEED).permutation(len(rows))[:n]
    return [rows[i] for i in sorted(chosen)]


def scripted(reply: str) -> dict[str, Any]:
    """A judge that always says the same."""
    return {"use": "scripted", "params": {"default": reply}}


def model_of(args: argparse.Namespace) -> dict[str, Any]:
    """The judge of a spec."""
    if not args.base_url:
        return {"use": "embedded"}
    key = {"api_key": "${OPENAI_API_KEY}"} if "OPENAI_API_KEY" in os.environ else {}
    return {"use": "openai", "model": args.model, "base_url": args.base_url, **key}


@dataclass(frozen=True)
class Judged:
    """What a judge said of each pair: 0, 1 or 2 as the people, -1 where it could not be read; and of those read."""

    verdicts: np.ndarray
    flips: np.ndarray
    for_the_first: np.ndarray  # of the orders that prefer one: whether it is the answer shown first


def judged(rows: list[dict[str, Any]], judge: dict[str, Any], params: dict[str, Any]) -> Judged:
    """The pairs as a build judges them."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pairs = "".join(json.dumps(pair(row)) + "\n" for row in rows)
        (folder / "pairs.jsonl").write_text(pairs, encoding="utf-8")
        score = {"score": "judge", "model": "judge", "params": params}
        table = {"source": "pairs.jsonl", "params": {"shape": "raw"}, "scores": [score]}
        spec = {"version": 1, "name": "bench", "models": {"judge": judge}, "tables": {"pairs": table}}
        (folder / "spec.yaml").write_text(json.dumps(spec), encoding="utf-8")
        report = build(load_spec(folder / "spec.yaml"), folder / "home")
        assert report.exit_code in (ExitCode.DONE, ExitCode.FAILURES), report.steps
        with duckdb.connect(str(report.catalog), read_only=True) as con:
            columns = "judge_verdict, judge_first_order, judge_second_order, judge_flipped"
            found = con.execute(f"SELECT {columns} FROM bench.pairs ORDER BY number").fetchall()
    places = [(first == "chosen", second == "rejected") for _, first, second, _ in found]
    preferring = [(first in LABELS[1:], second in LABELS[1:]) for _, first, second, _ in found]
    return Judged(
        np.array([LABELS.index(said) if said in LABELS else -1 for said, *_ in found]),
        np.array([flipped for *_, flipped in found if flipped is not None], float),
        np.array(places, float)[np.array(preferring)],
    )


def pair(row: dict[str, Any]) -> dict[str, Any]:
    """A pair as the judge reads it."""
    prompt = "\n\n".join(filter(None, (row["instruction"], row["input"])))
    return {
        "number": row["id"],
        "prompt": prompt,
        "chosen": row["response_1"] or "",
        "rejected": row["response_2"] or "",
    }


def told(name: str, found: Judged, majority: np.ndarray, people: np.ndarray) -> tuple[object, ...]:
    """A judge's line."""
    said, read = found.verdicts, found.verdicts >= 0
    persons = bootstrap(np.arange(len(said)), lambda i: (said[i][None] == people[:, i]).mean(axis=(0, 2)), seed=SEED)
    kappa = bootstrap(np.flatnonzero(read), lambda i: cohen_kappa(said[i], majority[i]), seed=SEED)
    agrees, flips, first = (
        bootstrap(values, mean, seed=SEED) for values in (said == majority, found.flips, found.for_the_first)
    )
    return (name, float(read.mean()), shown(agrees), shown(persons), shown(kappa), shown(flips), shown(first))


def between(people: np.ndarray, measure: Any) -> Interval:
    """A measure of how two people agree, in the mean over all pairs of people."""
    twos = list(combinations(range(len(people)), 2))
    return bootstrap(
        np.arange(people.shape[1]),
        lambda i: np.mean([measure(people[a][i], people[b][i]) for a, b in twos], axis=0),
        seed=SEED,
    )


def shown(found: Interval) -> str:
    """`0.61 (0.55 to 0.67)`."""
    return "" if np.isnan(found.value) else f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"


if __name__ == "__main__":
    main()
