"""Embeddings for benchmarks, and the time that this machine takes for matrix products alone.

Each measurement is a process of its own with one thread: seconds are those of the processor, and what other work does
to the machine's second core is no part of them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
from _measure import Measured, measured
from _rows import InMemory, unit

from engine.registry import operator

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
BLOCK = 4096


def stored(folder: Path, n: int, dim: int) -> Path:
    """A file with n rows: row_id, embedding, score."""
    vectors, scores = clusters(n, dim)
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dim)
    table = pa.table({"row_id": [f"row {i:08}" for i in range(n)], "embedding": embedding, "score": scores})
    path = folder / f"{n}x{dim}.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return path


def loaded(path: str | Path) -> pa.Table:
    """The rows in memory of their own, not mapped from the file."""
    with pa.OSFile(str(path), "rb") as source:
        return pa.ipc.open_file(source).read_all()


def selection(name: str, table: pa.Table, folder: Path, **params: object) -> Callable[[], pa.Table]:
    """Makes a selector's verdict when it is called; the selector's expressions are columns of the table."""
    op = operator("select", name)
    given = InMemory(table) if op.by_table else table
    return partial(op.fn, given, op.params(**params), SimpleNamespace(scratch=folder, seed=17))


def matrix(table: pa.Table) -> np.ndarray:
    """The embeddings, float32 [n, dim]."""
    chunk = table["embedding"].combine_chunks()
    return chunk.flatten().to_numpy().reshape(len(chunk), -1)


def child(script: str, task: str, *arguments: object, timeout: float = 1800) -> tuple[Any, Measured]:
    """What a task of a script prints as JSON, in a process of its own, and the process."""
    command = [sys.executable, script, "--task", task, *map(str, arguments)]
    took = measured(command, env=ONE_THREAD, timeout=timeout)
    return json.loads(took.output.splitlines()[-1]), took


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, and the result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def products(rows: np.ndarray, others: np.ndarray) -> float:
    """Seconds of the processor for all products of rows and others, block by block, and nothing else."""
    out = np.empty((BLOCK, len(others)), np.float32)
    turned = others.T

    def multiply() -> None:
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            np.matmul(block, turned, out=out[: len(block)])

    return timed(multiply)[0]


def growth(sizes: list[int], seconds: list[float]) -> float:
    """The exponent with which seconds grow from the first size to the last."""
    return float(np.log(seconds[-1] / seconds[0]) / np.log(sizes[-1] / sizes[0]))


def clusters(n: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows in 9,000 clusters of power-law size, cosines to the centre from 0.93 to 0.99; scores in [1, 36]."""
    rng = np.random.default_rng(11)
    sizes = 1 / np.arange(1, 9_001)
    topics = rng.standard_normal((200, dim), dtype=np.float32)
    centres = topics[rng.integers(0, 200, 9_000)] * 0.8 + rng.standard_normal((9_000, dim), dtype=np.float32)
    noise = rng.standard_normal((n, dim), dtype=np.float32)
    near = rng.uniform(0.93, 0.99, (n, 1)).astype(np.float32)
    centre = unit(centres)[rng.choice(9_000, n, p=sizes / sizes.sum())]
    scores = rng.uniform(1, 6, n) * rng.uniform(1, 6, n)
    return unit(centre * near + unit(noise) * np.sqrt(1 - near**2)), scores
