"""What `score: contaminated` finds of benchmark rows planted into instruction data, kind by kind, and how fast.

    python benchmarks/bench_contaminated.py --data FOLDER [--planted 300] [--clean 20000] [--min-similarity 0.9]

FOLDER holds benchmarks/{gsm8k,humaneval,ifeval,mmlu_test_dev}.parquet and instructions/alpaca_52k.parquet. Of the
benchmarks' questions with at least 20 words a sample is planted once for each kind: as it is; with other case and
punctuation; within an Alpaca text; its first half; with its sentences in another order; with synonyms; with other
numbers. Precision is that of the rows that are flagged, with all Alpaca texts taken as clean (a few of them do quote
what benchmarks quote). Vectors are those of `use: hashing`, so "by embedding" says what that model sees, no more.
Goals, for runs of 13 words: all that is planted word for word, and a precision of 0.99.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow as pa
from _measure import headline, show, verdict
from _vectors import Rows

from engine.models.hashing import hash_texts
from engine.needs import SideTable
from engine.registry import operator

QUESTIONS = {"gsm8k": "question", "humaneval": "prompt", "ifeval": "prompt", "mmlu_test_dev": "question"}
WORDS, DIM, NGRAMS = 20, 256, (3, 4)
SYNONYMS = {
    "a": "one", "an": "one", "and": "plus", "are": "remain", "buys": "purchases", "costs": "requires", "day": "date",
    "each": "every", "following": "subsequent", "for": "on behalf of", "gets": "obtains", "gives": "hands",
    "has": "owns", "have": "own", "how": "in what way", "if": "when", "in": "within", "is": "remains",
    "makes": "produces", "many": "numerous", "most": "mainly", "much": "lots", "must": "should", "of": "from",
    "people": "persons", "response": "reply", "sells": "trades", "should": "must", "statement": "claim",
    "takes": "needs", "that": "which", "the": "this", "to": "toward", "total": "sum", "true": "right",
    "which": "what", "with": "having", "write": "compose", "your": "the",
}  # fmt: skip
WHOLE = ("verbatim", "case and punctuation", "within a text")

Rewrite = Callable[[str, random.Random, list[str]], str]


def cased(text: str, rng: random.Random, _: list[str]) -> str:
    """Other case, and other white space or punctuation between words."""
    return "".join(rng.choice([" ", "  ", ", ", " - "]) if c.isspace() else c.swapcase() for c in text)


def within(text: str, rng: random.Random, clean: list[str]) -> str:
    """In the middle of two other texts."""
    return f"{rng.choice(clean)}\n{text}\n{rng.choice(clean)}"


def half(text: str, _rng: random.Random, _: list[str]) -> str:
    """The first half of the words."""
    return " ".join(text.split()[: len(text.split()) // 2])


def reordered(text: str, rng: random.Random, _: list[str]) -> str:
    """The sentences in another order."""
    sentences = re.split(r"(?<=[.?!])\s+", text)
    return " ".join(rng.sample(sentences, len(sentences)))


def synonyms(text: str, _rng: random.Random, _: list[str]) -> str:
    """Every word with a synonym in the table replaced by it."""
    return re.sub(r"[A-Za-z]+", lambda word: SYNONYMS.get(word[0].lower(), word[0]), text)


def numbers(text: str, rng: random.Random, _: list[str]) -> str:
    """Other numbers."""
    return re.sub(r"\d+", lambda _: str(rng.randrange(2, 99)), text)


KINDS: dict[str, Rewrite] = {
    "verbatim": lambda text, _rng, _clean: text,
    "case and punctuation": cased,
    "within a text": within,
    "first half": half,
    "sentences reordered": reordered,
    "synonyms": synonyms,
    "other numbers": numbers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--planted", type=int, default=300)
    parser.add_argument("--clean", type=int, default=20_000)
    parser.add_argument("--min-similarity", type=float, default=0.9)
    args = parser.parse_args()
    benchmarks, clean = questions(args.data), alpaca(args.data)[: args.clean]
    rng = random.Random(17)
    long = [i for i, text in enumerate(benchmarks["text"]) if len(text.split()) >= WORDS]
    picked = rng.sample(long, args.planted)
    planted = [(kind, i, rewrite(benchmarks["text"][i], rng, clean)) for kind, rewrite in KINDS.items() for i in picked]
    headline(f"{len(planted):,} planted and {len(clean):,} clean rows against {len(benchmarks):,} benchmark rows")

    rows = embedded([f"p{n}" for n in range(len(planted))] + [f"c{n}" for n in range(len(clean))],
                    [text for _, _, text in planted] + clean)  # fmt: skip
    side = embedded([f"b{i}" for i in range(len(benchmarks))], benchmarks["text"].to_list())
    found, runs = {}, {"13 words": {"n": 13}, "8 words, half of them": {"n": 8, "min_overlap": 0.5}}
    for name, params in runs.items():
        began = time.process_time()
        found[name] = scored(rows.drop_columns(["embedding"]), side.drop_columns(["embedding"]), params)
        print(f"{name}: {time.process_time() - began:.1f} s of the processor")
    began = time.process_time()
    found["13 words or embedding"] = scored(rows, side, {"min_similarity": args.min_similarity})
    print(f"13 words or embedding: {time.process_time() - began:.1f} s of the processor\n")
    report(found, planted, benchmarks["text"].to_list())


def report(found: dict[str, list[dict[str, object]]], planted: list[tuple[str, int, str]], texts: list[str]) -> None:
    """Recall for each kind, the share that names the right text, and precision."""
    kinds = np.array([kind for kind, _, _ in planted])
    flagged = {name: np.array([bool(row["contaminated"]) for row in rows]) for name, rows in found.items()}
    table = [(f"recall: {k}", *(f[: len(planted)][kinds == k].mean() for f in flagged.values())) for k in KINDS]
    clean = [int(f[len(planted) :].sum()) for f in flagged.values()]
    precision = [f[: len(planted)].sum() / max(f.sum(), 1) for f in flagged.values()]
    right = [named(rows, planted, texts) for rows in found.values()]
    table += [("names the planted text", *right), ("clean rows flagged", *clean), ("precision", *precision)]
    show(("", *found), table)
    words = flagged["13 words"][: len(planted)]
    verdict("recall of what is planted word for word", words[np.isin(kinds, WHOLE)].mean(), 1, at_least=True)
    verdict("precision of runs of 13 words", precision[0], 0.99, at_least=True)


def named(rows: list[dict[str, object]], planted: list[tuple[str, int, str]], texts: list[str]) -> float:
    """Of the planted rows that are found, the share that names the text planted (or an equal one)."""
    by = [(texts[int(str(row["contaminated_by"])[1:])], texts[i]) for row, (_, i, _) in zip(rows, planted, strict=False)
          if row["contaminated"]]  # fmt: skip
    return sum(left == right for left, right in by) / max(len(by), 1)


def questions(folder: Path) -> pl.DataFrame:
    """The questions of all benchmarks, each text once."""
    files = [(name, pl.read_parquet(folder / f"benchmarks/{name}.parquet")) for name in QUESTIONS]
    tables = [file.select(text=pl.col(QUESTIONS[name]), benchmark=pl.lit(name)) for name, file in files]
    return pl.concat(tables).unique("text", keep="first", maintain_order=True)


def alpaca(folder: Path) -> list[str]:
    """Instruction, input and output of each row."""
    parts = pl.concat_str(["instruction", "input", "output"], separator="\n", ignore_nulls=True)
    return pl.read_parquet(folder / "instructions/alpaca_52k.parquet").select(parts).to_series().to_list()


def embedded(ids: list[str], texts: list[str]) -> pa.Table:
    """A table with the vectors of its texts."""
    vectors = hash_texts(texts, DIM, NGRAMS)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIM)
    return pa.table({"row_id": ids, "text": pa.array(texts, pa.string()), "embedding": lists})


def scored(rows: pa.Table, side: pa.Table, params: dict[str, object]) -> list[dict[str, object]]:
    """The columns of `score: contaminated`."""
    op = operator("score", "contaminated")
    context = SimpleNamespace(sides={"benchmarks": SideTable(side)})
    return op.fn(Rows(rows), op.params(**params), context).to_pylist()


if __name__ == "__main__":
    main()
