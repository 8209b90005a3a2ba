"""UltraPrompt's tree search against random expansion at equal calls, on made-up rewards over sequences of principles.

    python benchmarks/bench_tree_search.py [--landscapes 400]

The tree is the operator's own; a landscape (tests/operators/landscape.py) says what a sequence is worth, so there is no
model and no noise. Shown are the mean of the best reward found, how often it is at least that of the best sequence of
three (the length from which on length costs), and how often it is the best that there is. Goals: the search beats
both random ways at 20 and at 80 calls.
"""

from __future__ import annotations

import argparse
import sys
from statistics import fmean

import numpy as np
from _measure import TESTS, headline, show, verdict

sys.path.insert(0, str(TESTS))

from operators.landscape import FREE, Landscape, grown, random_nodes, random_paths

WAYS = {"tree search, w = 0.1": grown, "random nodes": random_nodes, "random paths": random_paths}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--landscapes", type=int, default=400)
    args = parser.parse_args()
    headline(f"{args.landscapes} landscapes of five principles")
    worlds = [Landscape(np.random.default_rng(seed)) for seed in range(args.landscapes)]
    of_three, of_all = [world.optimum(FREE) for world in worlds], [world.optimum() for world in worlds]
    rows = []
    for calls in (20, 80):
        for name, way in WAYS.items():
            found = [way(world, calls, np.random.default_rng([1, seed])) for seed, world in enumerate(worlds)]
            rows.append((name, calls, fmean(found), hits(found, of_three), hits(found, of_all)))
    show(("", "calls", "mean best reward", "best of three found", "best of all found"), rows)
    for calls in (20, 80):
        search, *chance = [best for _, number, best, *_ in rows if number == calls]
        verdict(f"mean best reward beyond the better of chance, {calls} calls", search - max(chance), 0, at_least=True)


def hits(found: list[float], optima: list[float]) -> str:
    """How often a reward reaches the optimum, but for rounding."""
    return f"{fmean(best >= most - 1e-9 for best, most in zip(found, optima, strict=True)):.0%}"


if __name__ == "__main__":
    main()
