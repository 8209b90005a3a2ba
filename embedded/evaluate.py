"""`python -m embedded.evaluate`: what the embedded model can do, as a table of Markdown.

Builds `evaluate.yaml` with the weights inside the package and counts. Right and wrong are the grammar's to say
(`grammar`); no model judges here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from embedded.grammar import is_well_formed, recognise
from embedded.questions import Question, graded_answers, questions
from engine.builds import build
from engine.spec.load import load_spec
from engine.statistics.ranks import spearman

HERE = Path(__file__).parent
FOLDER = HERE / "build"
ASKED = 1000
"""Questions of each kind; a share of 1,000 has a standard error of about one percentage point."""


@dataclass(frozen=True)
class Finding:
    """A line of the result: `low` and `high` are the bounds of a 95 % interval (Wilson), for shares."""

    name: str
    value: float
    goal: str = ""
    interval: tuple[float, float] | None = None


def evaluate(seed: int) -> list[Finding]:
    """Ask, build, count; the questions and the home of the build stay in `FOLDER`."""
    asked = {kind: questions(ASKED, seed, held_back=kind) for kind in ("filling", "phrasing")}
    graded = graded_answers(ASKED, seed)
    for kind, chosen in asked.items():
        _write(FOLDER / f"{kind}s.jsonl", ({"number": i, "messages": q.messages} for i, q in enumerate(chosen)))
    _write(FOLDER / "graded.jsonl", ({"instruction": i, "response": r, "planted": p} for i, r, p in graded))
    report = build(load_spec(HERE / "evaluate.yaml"), FOLDER / "home")
    with duckdb.connect(str(report.catalog), read_only=True) as con:
        con.execute("SET search_path = 'embedded_evaluation,main'")
        return [
            *_invented(con),
            *(_answered(con, f"{kind}s", chosen) for kind, chosen in asked.items()),
            *_rated(con),
        ]


def _invented(con: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Magpie at temperature 1: are the instructions well-formed, do they have an answer, and is it what they get?"""
    rows = con.execute("SELECT instruction, response FROM invented").fetchall()
    formed, likely = (
        [
            is_well_formed(instruction or "")
            for (instruction,) in con.execute(f"SELECT instruction FROM {table}").fetchall()
        ]
        for table in ("invented", "nucleus")
    )
    known = [(recognise(instruction or ""), response) for instruction, response in rows]
    answerable = [(question, response) for question, response in known if question is not None]
    right = sum(question.check(response or "") for question, response in answerable)
    return [
        _share("well-formed Magpie instructions, temperature 1", sum(formed), len(formed), "98 %"),
        _share("the same, top_p 0.95", sum(likely), len(likely)),
        _share("different among them", len({instruction for instruction, _ in rows}), len(rows), "90 %"),
        _share("with a right answer", len(answerable), len(rows)),
        _share("rightly answered among those", right, len(answerable)),
    ]


def _answered(con: duckdb.DuckDBPyConnection, table: str, asked: Sequence[Question]) -> Finding:
    """Greedy answers to questions that the corpus holds back."""
    rows = con.execute(
        f"SELECT q.number, a.response FROM {table}_answered AS a JOIN {table} AS q ON a.parent_id = q.row_id"
    ).fetchall()
    right = sum(asked[number].check(response or "") for number, response in rows)
    what = {"fillings": "fresh fillings", "phrasings": "phrasings never trained on"}[table]
    return _share(f"right answers, {what}", right, len(asked), "90 %" if table == "fillings" else "")


def _rated(con: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Do the scores follow what was planted?"""
    marked = con.execute("SELECT quality, planted FROM graded WHERE quality IS NOT NULL").fetchnumpy()
    correlation = spearman(marked["quality"], marked["planted"])
    (readable,) = con.execute("SELECT avg((quality IS NOT NULL)::INT) FROM graded").fetchone() or (0.0,)
    return [
        Finding("Spearman's correlation of deita_quality with planted quality", correlation, "0.5"),
        Finding("share of answers with a quality score", readable),
    ]


def _share(name: str, part: int, whole: int, goal: str = "") -> Finding:
    share, n, z = part / max(whole, 1), max(whole, 1), 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return Finding(name, share, goal, (middle - half, middle + half))


def _write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def table(findings: Sequence[Finding]) -> str:
    """The findings as Markdown."""
    lines = ["| what | value | 95 % interval | goal |", "| --- | ---: | ---: | ---: |"]
    for f in findings:
        if f.interval is None:
            lines.append(f"| {f.name} | {f.value:.3f} | | {f.goal} |")
        else:
            low, high = f.interval
            lines.append(f"| {f.name} | {100 * f.value:.1f} % | {100 * low:.1f} to {100 * high:.1f} % | {f.goal} |")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Print what the embedded model can do.")
    parser.add_argument("--seed", type=int, default=4)
    args = parser.parse_args()
    print(table(evaluate(args.seed)))


if __name__ == "__main__":
    main()
