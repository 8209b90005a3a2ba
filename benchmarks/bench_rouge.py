"""The novelty filter of instructions against google-research's rouge_score, on the same instructions.

    pip install rouge-score
    python benchmarks/bench_rouge.py [--rows 10000] [--seeds 175] [--sample 20000] [--texts FILE.parquet]

`select: novelty` goes through all rows, each against the seeds and all that it has kept before. The package is timed
as self-instruct scripts use it, on texts that are tokenised once, over a random sample of the same pairs; its time for
all of them is an estimate from that. On the sample both must give the same F1, but for the last bits: the package
rounds more than once. Texts are sentences from templates, or the column `instruction` of a Parquet file. Seconds are
those of the processor. Goal: a hundred times as fast.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _data import rows
from _measure import headline, show, verdict

from engine.operators.selectors.novelty import greedy
from engine.texts.rouge import rouge_l, tokens

TIMES, DIFFERENCE = 100, 1e-12
LIMIT = 0.7
CHECKED = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=175)
    parser.add_argument("--sample", type=int, default=20_000)
    parser.add_argument("--texts", type=Path)
    args = parser.parse_args()
    texts = instructions(args.seeds + args.rows, args.texts)
    headline(f"ROUGE-L novelty of {args.rows:,} instructions against {args.seeds} seeds and what was kept")

    began = time.process_time()
    kept, _, _ = greedy(tokens(pa.array(texts)), args.seeds, LIMIT)
    ours = time.process_time() - began
    pairs = int(np.concatenate([[0], np.cumsum(kept)])[args.seeds : -1].sum())

    sample = drawn(kept, args.seeds, args.sample)
    per_pair, theirs = package(texts, sample)
    checked = zip(sample[:CHECKED], theirs[:CHECKED], strict=True)
    apart = max(abs(rouge_l_of(texts, i, j) - f1) for (i, j), f1 in checked)
    show(
        ("", "pairs", "seconds", "pairs/s"),
        [
            ("select: novelty", pairs, ours, pairs / ours),
            ("rouge_score (estimate)", pairs, per_pair * pairs, 1 / per_pair),
        ],
    )
    print(f"kept: {int(kept[args.seeds :].sum()):,} of {args.rows:,}")
    verdict("speed against rouge_score", per_pair * pairs / ours, TIMES, at_least=True, unit=" times")
    verdict(f"largest difference of an F1, of {CHECKED:,} pairs", apart, DIFFERENCE)


def instructions(n: int, file: Path | None) -> list[str]:
    """That many texts."""
    if file is not None:
        return pq.read_table(file, columns=["instruction"])["instruction"][:n].to_pylist()
    sentences = (row["output"].partition(". ")[0] for row in rows(3 * n, seed=1) if " " in row["output"])
    return [sentence for _, sentence in zip(range(n), sentences, strict=False)]


def drawn(kept: np.ndarray, seeds: int, n: int) -> list[tuple[int, int]]:
    """Pairs of a row and a text that was kept before it."""
    rng = random.Random(0)
    before = np.flatnonzero(kept)
    picked = [(i, int(np.searchsorted(before, i))) for i in rng.choices(range(seeds, len(kept)), k=n)]
    return [(i, int(before[rng.randrange(count)])) for i, count in picked]


def package(texts: list[str], sample: list[tuple[int, int]]) -> tuple[float, list[float]]:
    """Seconds a pair, and the F1 of each."""
    try:
        from rouge_score import rouge_scorer
    except ImportError:
        sys.exit("this compares with rouge_score: pip install rouge-score")
    tokenizer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)._tokenizer
    split = {i: tokenizer.tokenize(texts[i]) for pair in sample for i in pair}
    began = time.process_time()
    found = [rouge_scorer._score_lcs(split[j], split[i]).fmeasure for i, j in sample]
    return (time.process_time() - began) / len(sample), found


def rouge_l_of(texts: list[str], i: int, j: int) -> float:
    """The F1 of one pair."""
    return rouge_l(tokens(pa.array([texts[i], texts[j]])), np.array([0]), np.array([1]))[0, 0]


if __name__ == "__main__":
    main()
