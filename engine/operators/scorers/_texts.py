"""What the scorers share that compare whole texts: strings or conversations, part by part, and why one has no score."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import pyarrow as pa

from engine.operator import Reads
from engine.operators.scorers.embedding import plain_text
from engine.schema import PROMPT_TYPE

T = TypeVar("T")
NULL_TEXT = "the text is null"
NO_WORDS = "the text has no words"
TEXT = Reads(PROMPT_TYPE, default=("messages", "text", "response"))


def flat_texts(column: pa.ChunkedArray) -> pa.Array:
    """A column as large_string [n]: strings as they are, conversations one turn a line as `role: content`."""
    return pa.concat_arrays([pa.array([], pa.large_string()), *map(plain_text, column.chunks)])


def reasons(null: np.ndarray, wordless: np.ndarray) -> pa.Array:
    """Why a text has no score, string [n]; null where it has one."""
    return pa.array(np.where(null, NULL_TEXT, NO_WORDS), pa.string(), mask=~(null | wordless))


def in_threads(work: Callable[[pa.Table], T], parts: Iterable[pa.Table]) -> Iterator[T]:
    """What `work` makes of each part, in their order, on all cores; as many parts are held as there are cores.

    It is worth it for work that leaves Python's lock, as polars, Arrow and NumPy do.
    """
    cores = os.cpu_count() or 1
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(cores, thread_name_prefix="part") as pool:
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) > cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
