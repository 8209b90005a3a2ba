"""`use: hashing`: text embeddings without weights, by feature hashing of words and character n-grams.

Two texts are close when they share wording, not meaning: good for near-duplicates, tests and small data. The same
text gives the same bits on every machine: integer arithmetic throughout, then one division and one square root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from engine.model import Backend, BackendParams, ModelConfig
from engine.request import Capability
from engine.texts.hashing import mix64

VERSION = 1
"""Raised when the features change: part of the identity, so old vectors are never mixed with new ones."""

BLOCK_BYTES = 1 << 18
BLOCK_COUNTS = 1 << 21
"""What is hashed in one go: so much text, and so many counters. A single longer text is a block of its own."""

_FOLD = np.arange(
    256, dtype=np.uint8
)  # lower case and plain blanks, in ASCII alone: Unicode's tables change by version
_FOLD[ord("A") : ord("Z") + 1] += 32
_FOLD[[9, 10, 11, 12, 13]] = 32
_IN_WORD = np.array([chr(b).isalnum() or b >= 128 for b in range(256)])
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 2**64)


class HashingParams(BackendParams):
    """`dim` is the length of a vector, `ngrams` the lengths of the character n-grams in UTF-8 bytes, besides words."""

    dim: int = Field(256, ge=8, le=16384)
    ngrams: list[Annotated[int, Field(ge=1, le=8)]] = Field(default_factory=lambda: [5])


class Hashing(Backend):
    """Deterministic text embeddings.

    Each family of features (words; n-grams of each length) is counted into `dim` buckets with signs (Weinberger et
    al., arXiv 0902.2206), gives sign(c) * sqrt(|c| / sum |c|), which damps frequent features and has length 1, and the
    families are added. A text without any feature ("", "?") is the zero vector.
    """

    Params: ClassVar[type[BackendParams]] = HashingParams
    offers: ClassVar[frozenset[Capability]] = frozenset({Capability.EMBED})
    recorded: ClassVar[bool] = False

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self._params = HashingParams.model_validate(config.params.model_dump())

    def identity(self) -> dict[str, Any]:
        """The version of the features, and the parameters."""
        return {"backend": "hashing", "version": VERSION, **self._params.model_dump()}

    def embedding_dim(self) -> int:
        """The parameter `dim`."""
        return self._params.dim

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 of shape (len(texts), dim); hashed in a thread, block by block."""
        return await asyncio.to_thread(hash_texts, texts, self._params.dim, tuple(self._params.ngrams))


def hash_texts(texts: Sequence[str], dim: int, ngrams: Sequence[int]) -> np.ndarray:
    """The vectors of texts, float32 of shape (len(texts), dim)."""
    vectors = np.zeros((len(texts), dim), np.float32)
    data, offsets = _utf8(texts)
    for first, last in _blocks(offsets, max(1, BLOCK_COUNTS // (2 * dim))):
        text = _FOLD[data[offsets[first] : offsets[last]]]
        row_of = np.repeat(np.arange(last - first), np.diff(offsets[first : last + 1]))
        for at, hashes in (_words(text, row_of), *(_ngrams(text, row_of, n) for n in ngrams)):
            vectors[first:last] += _family(row_of[at], hashes, last - first, dim)
    return vectors


def _utf8(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """All bytes of the texts, and where each text begins (one more for the end)."""
    column = pa.array(texts, pa.large_string())
    _, offsets, data = column.buffers()
    return (
        np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8),
        np.frombuffer(offsets, np.int64)[: len(column) + 1] if offsets else np.zeros(1, np.int64),
    )


def _blocks(offsets: np.ndarray, most_rows: int) -> Iterator[tuple[int, int]]:
    """Cuts [0, n) into runs of whole texts of at most `most_rows` and about `BLOCK_BYTES`."""
    first, n = 0, len(offsets) - 1
    while first < n:
        full = int(np.searchsorted(offsets, offsets[first] + BLOCK_BYTES, side="right")) - 1
        last = min(max(full, first + 1), first + most_rows, n)
        yield first, last
        first = last


def _words(text: np.ndarray, row_of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each word begins, and its hash: the polynomial of its bytes, from prefix sums modulo 2**64."""
    starts = _IN_WORD[text]
    joined = starts[1:] & starts[:-1] & (row_of[1:] == row_of[:-1])
    ends = starts.copy()
    starts[1:] &= ~joined
    ends[:-1] &= ~joined
    first, last = np.flatnonzero(starts), np.flatnonzero(ends)
    terms = (text + np.uint64(1)) * _powers(_BASE, len(text))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms)])
    return first, mix64((sums[last + 1] - sums[first]) * _powers(_INVERSE, len(text))[first])


def _ngrams(text: np.ndarray, row_of: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each n-gram begins that lies within one text, and its hash: its bytes as one integer, mixed."""
    end_row = row_of[n - 1 :]
    starts = np.flatnonzero(row_of[: len(end_row)] == end_row)
    padded = np.concatenate([text, np.zeros(8, np.uint8)])
    eight_bytes = np.ndarray(len(text), "<u8", padded, strides=(1,))  # those that begin at each byte
    return starts, mix64((eight_bytes[starts] << np.uint64(64 - 8 * n)) ^ np.uint64(n * _BASE % 2**64))


def _family(row_of: np.ndarray, hashes: np.ndarray, rows: int, dim: int) -> np.ndarray:
    """Signed counts of one family of features, damped and of length 1, float64 [rows, dim]."""
    buckets = (hashes >> np.uint64(32)).astype(np.int64) % (2 * dim)  # the upper half counts down
    counts = np.bincount(row_of * (2 * dim) + buckets, minlength=rows * 2 * dim).reshape(rows, 2, dim)
    signed = counts[:, 0] - counts[:, 1]
    size = np.abs(signed)
    total = np.maximum(size.sum(axis=1, keepdims=True), 1)
    family: np.ndarray = np.sign(signed) * np.sqrt(size / total)
    return family


def _powers(base: int, n: int) -> np.ndarray:
    """base**0, base**1, ... modulo 2**64, uint64 [n]."""
    powers = np.full(n, base, np.uint64)
    powers[:1] = 1
    return np.multiply.accumulate(powers)
