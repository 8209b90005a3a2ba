"""Agreement of two judges against each of them alone: how many pairs of answers are in the true order.

    python benchmarks/bench_agreement.py [--trials 4000]

Five answers are worth 5, 4, 3, 2 and 1; each judge sees that with noise of its own and ranks what it sees. What both
agree on is found by the operator's own code, as CycleAlign's demonstrations are. Once both judges err alike, once the
white box is much weaker. Goal: the agreement is right more often than the better judge. It prints, wherever it runs:

                    black box  white box  agreement  its answers
    judges alike        0.876      0.878      0.962         3.66
    weak white box      0.876       0.71       0.92         3.26
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from _measure import headline, show, verdict

from engine.statistics.agreement import agreement, ranking_of

ANSWERS = 5
SETTINGS = {"judges alike": (1.0, 1.0), "weak white box": (1.0, 2.5)}
"""The standard deviations of the noise of black box and white box."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=4000)
    args = parser.parse_args()
    headline(f"{args.trials} rankings of {ANSWERS} answers")
    rows = [(name, *measured(args.trials, *noise)) for name, noise in SETTINGS.items()]
    show(("", "black box", "white box", "agreement", "its answers"), rows)
    for name, black, white, agreed, _ in rows:
        verdict(f"pairs right beyond the better judge, {name}", agreed - max(black, white), 0, at_least=True)


def measured(trials: int, black: float, white: float) -> tuple[float, float, float, float]:
    """The share of pairs in the true order: of the black box, the white box, their agreement; and its mean length."""
    rng = np.random.default_rng(17)
    worth = np.arange(ANSWERS, 0, -1)  # an answer's index is its true rank
    judged, own = (ranked(worth + sd * rng.standard_normal((trials, ANSWERS))) for sd in (black, white))
    agreed = [agreement(one, other) for one, other in zip(judged, own, strict=True)]
    return rightly(judged), rightly(own), rightly(agreed), float(np.mean([len(one) for one in agreed]))


def ranked(seen: np.ndarray) -> list[list[int]]:
    """Rankings of what a judge sees of the answers, `[trials, answers]`."""
    return [ranking_of(row) for row in seen.tolist()]


def rightly(rankings: Sequence[Sequence[int]]) -> float:
    """The share of all pairs that stand in the order of their indices."""
    return float(np.mean([better < worse for ranking in rankings for better, worse in combinations(ranking, 2)]))


if __name__ == "__main__":
    main()
