"""`score: minhash_duplicate` on Alpaca's texts and edited copies of them: speed, growth, memory, recall; and its peers.

    python benchmarks/bench_minhash.py --alpaca FILE.parquet [--datasketch PYTHON] [--text-dedup PYTHON]
        [--datatrove PYTHON] [--data-juicer PYTHON] [--sizes 13000 52000 208000]

A copy has up to three words replaced, left out or put in. PYTHON is an interpreter that has the package (datatrove also
wants spacy, Data-Juicer aiohttp); the peers get the same 52,002 texts without copies, on the same cores, one after the
other. Recall is that of brute force on 13,000 rows: of all pairs of Jaccard similarity 0.7 or more the share that is
compared, and of the duplicates that the greedy walk over all pairs finds the share that is found. Goals: 208,000 rows
in 10 s and 1.5 GiB, recall 0.98, and 8 times datasketch's speed, 20 times the others'; in seconds of the processor,
since on a shared machine the clock says little of a short run. Of text-dedup and Data-Juicer these are whole commands,
imports and all; datatrove's workers are not counted, so there the clock has to do.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from _measure import headline, measured, script, show, verdict
from _vectors import growth

from engine.operators.scorers.minhash_duplicate import greedy
from engine.registry import operator
from engine.texts.minhash import bands, signatures
from engine.texts.shingles import Grams, distinct, jaccard, ngrams, words

COPIES, EDITS, PART = 3, 3, 10_000
SECONDS, MIB, RECALL, THRESHOLD = 10, 1536, 0.98, 0.7
PEERS = {"datasketch": 8, "text-dedup": 20, "datatrove": 20, "data-juicer": 20}
UNSEEN = "datatrove"  # its workers are no children that the system counts
CHECKED = 13_000


@dataclass(frozen=True)
class Parts:
    """A Parquet file as `engine.rows.Rows`, a row group a part."""

    file: pq.ParquetFile

    def whole(self, *columns: str) -> pa.Table:
        """All rows."""
        return self.file.read(["row_id", *columns])

    def parts(self, *columns: str) -> Iterator[pa.Table]:
        """Row group after row group."""
        for group in range(self.file.num_row_groups):
            yield self.file.read_row_group(group, ["row_id", *columns])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alpaca", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[13_000, 52_000, 208_000])
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    for name in PEERS:
        parser.add_argument(f"--{name}", metavar="PYTHON")
    args = parser.parse_args()
    if args.child:
        print(json.dumps(once(args.child)))
    else:
        compare(args)


def compare(args: argparse.Namespace) -> None:
    """All sizes, the recall, and the peers that are there."""
    headline("near-duplicates by word 5-grams, Jaccard 0.7")
    texts = alpaca(args.alpaca)
    everything = copied(texts)
    with tempfile.TemporaryDirectory() as folder:
        sizes(everything, args.sizes, Path(folder))
        recall(everything[:CHECKED])
        given = {name: getattr(args, name.replace("-", "_")) for name in PEERS}
        against(texts, {name: python for name, python in given.items() if python}, Path(folder))
    print(f"not run: {', '.join(name for name, python in given.items() if not python) or 'none'}")


def sizes(everything: list[str], counts: list[int], folder: Path) -> None:
    """Speed, memory and growth."""
    table, seconds = [], []
    for count in counts:
        took, run = child(written(everything[:count], folder))
        table.append((f"{count:,} rows", took["work_s"], took["work_cpu_s"], run.wall_s, run.peak_mib, took["kept"]))
        seconds.append(took["work_cpu_s"])
    show(("", "work s", "work CPU s", "command s", "peak MiB", "kept"), table)
    if len(counts) > 1:
        print(f"growth: rows to the power of {growth(counts, seconds):.2f}\n")
    verdict(f"{counts[-1]:,} rows, seconds of the processor", table[-1][2], SECONDS, unit=" s")
    verdict(f"memory of {counts[-1]:,} rows", table[-1][4], MIB, unit=" MiB")


def recall(texts: list[str]) -> None:
    """What the bands find of the pairs that brute force finds, and whether the walks agree."""
    sets = distinct(ngrams(words(pa.array(texts)), 5))
    numbers = signatures(sets, bands(THRESHOLD, 0.99))
    left, right = overlapping(sets)
    similar = jaccard(sets, left, right) >= THRESHOLD
    met = (numbers[left[similar]] == numbers[right[similar]]).any(axis=1)
    print(f"\nbrute force on {len(texts):,} rows: {len(left):,} pairs share an n-gram, {similar.sum():,} are similar")
    verdict("pairs compared", met.mean(), RECALL, at_least=True)
    order = np.arange(len(texts))
    found, similarity = greedy(sets, numbers, order, THRESHOLD)
    exact, _ = greedy(sets, one_band(len(texts), left[similar], right[similar]), order, THRESHOLD)
    verdict("duplicates that brute force finds too", ((found >= 0) & (exact >= 0)).sum() / (exact >= 0).sum(), RECALL,
            at_least=True)  # fmt: skip
    wrong = int((jaccard(sets, order[found >= 0], found[found >= 0]) != similarity[found >= 0]).sum())
    verdict("duplicates whose similarity is not exact", wrong + int((similarity < THRESHOLD).sum()), 0)


def one_band(n: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Numbers with which the walk compares just the connected rows: those of a component share one."""
    component = np.arange(n)
    while True:
        least = np.minimum(component[left], component[right])
        further = component.copy()
        np.minimum.at(further, left, least)
        np.minimum.at(further, right, least)
        if (further == component).all():
            return component.astype(np.uint64)[:, None]
        component = further


def overlapping(sets: Grams) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of texts that have an n-gram in common, each once."""
    table = pl.DataFrame({"text": np.repeat(np.arange(len(sets.lengths)), sets.lengths), "gram": sets.hashes})
    table = table.filter(pl.len().over("gram") > 1)
    pairs = table.join(table, on="gram").filter(pl.col("text") < pl.col("text_right"))
    pairs = pairs.select("text", "text_right").unique()
    return pairs["text"].to_numpy(), pairs["text_right"].to_numpy()


def against(texts: list[str], pythons: dict[str, str], folder: Path) -> None:
    """The same texts through the peers."""
    took, run = child(written(texts, folder))
    table = [("setwright", took["work_s"], took["work_cpu_s"], run.wall_s, run.peak_mib, took["kept"])]
    lines = folder / "texts.jsonl"
    lines.write_text("".join(json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(texts)))
    for name, python in pythons.items():
        with tempfile.TemporaryDirectory() as empty:
            peer = measured([python, script("dedup_peers.py")[1], name, str(lines), empty], timeout=1200)
        work = json.loads(peer.output.splitlines()[-1])
        table.append((name, work["work_s"], work["work_cpu_s"], peer.wall_s, peer.peak_mib, work["kept"]))
    print(f"\n{len(texts):,} texts")
    show(("", "work s", "work CPU s", "command s", "peak MiB", "kept"), table)
    for name, seconds, cpu_s, *_ in table[1:]:
        clock, processor = seconds / took["work_s"], cpu_s / took["work_cpu_s"]
        print(f"{name} takes {clock:.0f} times as long by the clock, {processor:.0f} times the processor")
        factor = clock if name == UNSEEN else processor
        verdict(f"speed against {name}", factor, PEERS[name], at_least=True, unit=" times")


def once(path: Path) -> dict[str, float]:
    """One run over a Parquet file."""
    op = operator("score", "minhash_duplicate")
    with tempfile.TemporaryDirectory() as scratch, pq.ParquetFile(path) as file:
        began, began_cpu = time.perf_counter(), time.process_time()
        found = op.fn(Parts(file), op.params(), SimpleNamespace(scratch=Path(scratch)))
        work_s, work_cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    return {"work_s": work_s, "work_cpu_s": work_cpu_s, "kept": found["minhash_duplicate_of"].null_count}


def child(path: Path) -> tuple[dict[str, float], object]:
    """One run in a process of its own."""
    run = measured(script("bench_minhash.py", "--child", path))
    return json.loads(run.output), run


def written(texts: list[str], folder: Path) -> Path:
    """The texts as a Parquet file of several row groups."""
    table = pa.table({"row_id": [f"{i:08}" for i in range(len(texts))], "text": texts})
    pq.write_table(table, folder / f"{len(texts)}.parquet", row_group_size=PART)
    return folder / f"{len(texts)}.parquet"


def alpaca(path: Path) -> list[str]:
    """Instruction, input and output of each row."""
    parts = pl.concat_str(["instruction", "input", "output"], separator="\n", ignore_nulls=True)
    return pl.read_parquet(path).select(parts).to_series().to_list()


def copied(texts: list[str]) -> list[str]:
    """Each text and three edited copies of it, side by side."""
    rng = random.Random(5)
    return [text for given in texts for text in (given, *(edited(given, rng) for _ in range(COPIES)))]


def edited(text: str, rng: random.Random) -> str:
    """The text with up to three words replaced, left out or put in."""
    parts = text.split(" ")
    for _ in range(rng.randint(1, EDITS)):
        at = rng.randrange(len(parts)) if parts else 0
        parts[at : at + 1] = rng.choice([[], ["indeed", *parts[at : at + 1]], ["another"]])
    return " ".join(parts)


if __name__ == "__main__":
    main()
