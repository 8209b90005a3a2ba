"""Near-duplicates of a JSONL file (`id`, `text`) by other packages: `bench_minhash.py` runs this with their Pythons.

    PYTHON dedup_peers.py datasketch|text-dedup|datatrove|data-juicer FILE.jsonl EMPTY_FOLDER

Word 5-grams, Jaccard 0.7, two processes where a package has them, otherwise each package's own defaults. Prints the
seconds of work by the clock and of the processor, imports left out where they can be, and how many rows are kept.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

PROCESSES = 2
THRESHOLD, WORDS, PERMUTATIONS = 0.7, 5, 128
BUCKETS, HASHES = 14, 8  # FineWeb's

Spent = tuple[float, float]  # seconds by the clock, and of the processor with its children


def datasketch(file: Path, _folder: Path) -> tuple[Spent, int]:
    """A signature a row, and a row is kept where the index of kept ones has no candidate."""
    from datasketch import MinHash, MinHashLSH

    began, kept = _now(), 0
    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    for line in file.read_text().split("\n")[:-1]:
        row = json.loads(line)
        words = re.findall(r"\w+", row["text"].lower())
        signature = MinHash(num_perm=PERMUTATIONS)
        grams = range(max(1, len(words) - WORDS + 1))
        signature.update_batch([" ".join(words[i : i + WORDS]).encode() for i in grams])
        if not index.query(signature):
            index.insert(row["id"], signature)
            kept += 1
    return _since(began), kept


def text_dedup(file: Path, folder: Path) -> tuple[Spent, int]:
    """Its command."""
    options = {
        "path": "json", "data_files": file, "split": "train", "cache_dir": folder / "cache", "output": folder / "kept",
        "column": "text", "ngram": WORDS, "min_length": 1, "threshold": THRESHOLD, "num_perm": PERMUTATIONS,
        "batch_size": 10_000, "num_proc": PROCESSES,
    }  # fmt: skip
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    spent = _run([sys.executable, "-m", "text_dedup.minhash", *flags])
    import datasets

    return spent, len(datasets.load_from_disk(str(folder / "kept")))


def datatrove(file: Path, folder: Path) -> tuple[Spent, int]:
    """Its four stages, with files between them."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    config = MinhashConfig(num_buckets=BUCKETS, hashes_per_bucket=HASHES, n_grams=WORDS)
    given, kept = folder / "given", folder / "kept"
    given.mkdir()
    lines = file.read_text().split("\n")[:-1]
    for part in range(PROCESSES):
        (given / f"{part}.jsonl").write_text("\n".join(lines[part::PROCESSES]) + "\n")
    signatures, buckets, removed = (str(folder / name) for name in ("signatures", "buckets", "removed"))
    stages = [
        (PROCESSES, [JsonlReader(str(given)), MinhashDedupSignature(signatures, config=config)]),
        (BUCKETS, [MinhashDedupBuckets(signatures, buckets, config=config)]),
        (1, [MinhashDedupCluster(buckets, removed, config=config)]),
        (PROCESSES, [JsonlReader(str(given)), MinhashDedupFilter(removed), JsonlWriter(str(kept), compression=None)]),
    ]
    began = _now()
    for number, (tasks, steps) in enumerate(stages):
        workers = min(tasks, PROCESSES)
        LocalPipelineExecutor(steps, tasks=tasks, workers=workers, logging_dir=str(folder / f"log{number}")).run()
    spent = _since(began)
    return spent, sum(file.read_text().count("\n") for file in kept.iterdir())


def data_juicer(file: Path, folder: Path) -> tuple[Spent, int]:
    """Its command on a recipe of one operator."""
    recipe, kept = folder / "recipe.json", folder / "kept.jsonl"
    operator = {
        "tokenization": "space", "window_size": WORDS, "lowercase": True, "num_permutations": PERMUTATIONS,
        "jaccard_threshold": THRESHOLD,
    }  # fmt: skip
    steps = [{"document_minhash_deduplicator": operator}]
    config = {"project_name": "peer", "dataset_path": str(file), "export_path": str(kept), "np": PROCESSES}
    recipe.write_text(json.dumps({**config, "use_cache": False, "process": steps}))
    spent = _run([str(Path(sys.executable).with_name("dj-process")), "--config", str(recipe)])
    return spent, kept.read_text().count("\n")


def _run(command: list[str]) -> Spent:
    began = _now()
    subprocess.run(command, check=True, stdout=sys.stderr)
    return _since(began)


def _now() -> Spent:
    return time.perf_counter(), sum(os.times()[:4])


def _since(began: Spent) -> Spent:
    clock, processor = _now()
    return clock - began[0], processor - began[1]


PEERS = {"datasketch": datasketch, "text-dedup": text_dedup, "datatrove": datatrove, "data-juicer": data_juicer}


if __name__ == "__main__":
    name, given, empty = sys.argv[1:]
    (work_s, work_cpu_s), rows_kept = PEERS[name](Path(given), Path(empty))
    print(json.dumps({"work_s": work_s, "work_cpu_s": work_cpu_s, "kept": rows_kept}))
