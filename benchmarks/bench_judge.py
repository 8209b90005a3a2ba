"""A judge of pairs against the people who labelled them: its agreement with them, beside theirs with one another.

    python benchmarks/bench_judge.py [--pairs 100] [--form marks] [--model NAME --base-url URL] [--data FILE]

PandaLM's pairs (Wang et al., arXiv 2306.05087), each labelled by three people. The judge is `score: judge` as a build
asks it: the model inside the package, or with `--base-url` one behind a server. Three scripted ones check the
arithmetic: one always prefers the first place, one finds all answers alike, and one says what the first of the three
people said, which is what a judge as good as a person reaches. A call that fails (a pair too long for the model) and a
reply that can't be read agree with nobody. Intervals are by the bootstrap over pairs (95 %). What a judge reaches has
no goal: the model inside the package can't judge.
"""

from __future__ import annotations

import argparse
import json
import os
import re
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
from engine.operators._prompts import fill, text_of
from engine.spec.load import load_spec
from engine.statistics.intervals import Interval, bootstrap, mean
from engine.statistics.ranks import agreement_rate, cohen_kappa

DATA = HERE.parent / "../shared/data/preferences/pandalm_human.parquet"
LABELS = ("tie", "chosen", "rejected")  # of the data's 0, 1 and 2
PLACE = {"chosen": 1, "rejected": -1, "tie": 0}  # where the chosen answer is shown first
PEOPLE = ("annotator_1", "annotator_2", "annotator_3")
TEMPLATE = text_of("judge/letter")
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
    scripts = {
        "always the first": ({"default": "[[A]]"}, np.zeros(len(rows))),  # in both orders: a tie
        "always a tie": ({"default": "[[C]]"}, np.zeros(len(rows))),
        "the first person": ({"replies": as_said(rows, people[0])}, people[0]),
    }
    found = {name: judged(rows, {"use": "scripted", "params": said}, {}) for name, (said, _) in scripts.items()}
    wrong = sum(int((found[name].verdicts != expected).sum()) for name, (_, expected) in scripts.items())
    found[args.model or "embedded"] = judged(rows, judge, form)
    one_another = (shown(between(people, measure)) for measure in (agreement_rate, cohen_kappa))
    lines = [told(name, one, majority, people) for name, one in found.items()]
    header = ("", "read", "agrees with the majority", "with a person", "kappa", "flips", "first place")
    show(header, [*lines, ("people, one another", 1.0, "", *one_another, "", "")])
    verdict("verdicts of the scripted judges that are others than their scripts give", wrong, 0)


def drawn(path: Path, n: int) -> list[dict[str, Any]]:
    """So many of the pairs that have an instruction and two different answers, the same ones each time."""
    rows = pq.read_table(path).to_pylist()
    rows = [row for row in rows if row["instruction"] and row["response_1"] != row["response_2"]]
    chosen = np.random.default_rng(SEED).permutation(len(rows))[:n]
    return [rows[i] for i in sorted(chosen)]


def as_said(rows: list[dict[str, Any]], labels: np.ndarray) -> list[dict[str, Any]]:
    """A script that knows every prompt, and answers it by the pair's label."""
    rules = []
    for row, label in zip(map(pair, rows), labels, strict=True):
        for order, letters in enumerate(("CAB", "CBA")):
            first, second = (row["chosen"], row["rejected"])[:: -1 if order else 1]
            prompt = fill(TEMPLATE, {"instruction": row["prompt"], "first": first, "second": second})
            rules.append({"match": rf"\A{re.escape(prompt)}\Z", "reply": f"[[{letters[label]}]]"})
    return rules


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
    places: np.ndarray  # [pairs, orders]: 1 where the answer shown first is preferred, -1 the second, 0 neither


def judged(rows: list[dict[str, Any]], judge: dict[str, Any], params: dict[str, Any]) -> Judged:
    """The pairs as a build judges them."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pairs = "".join(json.dumps({"number": i, **pair(row)}) + "\n" for i, row in enumerate(rows))
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
    orders = [(PLACE[first], -PLACE[second]) for said, first, second, _ in found if said is not None]
    return Judged(
        np.array([LABELS.index(said) if said in LABELS else -1 for said, *_ in found]),
        np.array([flipped for *_, flipped in found if flipped is not None], float),
        np.array(orders).reshape(-1, 2),
    )


def pair(row: dict[str, Any]) -> dict[str, Any]:
    """A pair as the judge reads it."""
    prompt = "\n\n".join(filter(None, (row["instruction"], row["input"])))
    return {
        "prompt": prompt,
        "chosen": row["response_1"] or "",
        "rejected": row["response_2"] or "",
    }


def told(name: str, found: Judged, majority: np.ndarray, people: np.ndarray) -> tuple[object, ...]:
    """A judge's line."""
    said, read = found.verdicts, found.verdicts >= 0
    persons = bootstrap(np.arange(len(said)), lambda i: (said[i][None] == people[:, i]).mean(axis=(0, 2)), seed=SEED)
    kappa = bootstrap(np.flatnonzero(read), lambda i: cohen_kappa(said[i], majority[i]), seed=SEED)
    agrees, flips = (bootstrap(values, mean, seed=SEED) for values in (said == majority, found.flips))
    first = bootstrap(found.places, share_of_first, seed=SEED)
    return (name, float(read.mean()), shown(agrees), shown(persons), shown(kappa), shown(flips), shown(first))


def share_of_first(places: np.ndarray) -> np.ndarray:
    """Of the orders that prefer an answer, how many prefer the one shown first, for resamples [r, pairs, orders]."""
    preferring = (places != 0).sum(axis=(1, 2))
    share: np.ndarray = (places > 0).sum(axis=(1, 2)) / np.where(preferring, preferring, np.nan)
    return share


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
