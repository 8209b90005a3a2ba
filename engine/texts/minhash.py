"""Which texts may share most of their n-grams: MinHash signatures, cut into bands that similar texts agree on.

Broder, "On the resemblance and containment of documents" (1997); the bands are those of Leskovec et al., "Mining of
Massive Datasets" (chapter 3.4). What is found are candidates: `shingles.jaccard` tells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.texts.hashing import GOLDEN, step
from engine.texts.shingles import Grams, blocks

TOGETHER = 2**16  # n-grams that are hashed in one go: they stay in the cache
AGREED = 0.24  # about how likely one band is to find a pair at the threshold: few bands, and few false candidates
MOST_ROWS = 8


@dataclass(frozen=True)
class Bands:
    """Texts are candidates where they agree on all `rows` minima of any of `count` bands."""

    rows: int
    count: int


def bands(threshold: float, recall: float) -> Bands:
    """The bands that find a pair of this Jaccard similarity with a chance of at least `recall`.

    A band finds a pair with a chance of threshold ** rows, whatever the lengths of the texts.
    """
    rows = round(math.log(AGREED) / math.log(threshold)) if threshold < 1 else MOST_ROWS
    rows = min(max(rows, 1), MOST_ROWS)
    missed = 1 - threshold**rows
    return Bands(rows, math.ceil(math.log(1 - recall) / math.log(missed)) if missed else 1)


def signatures(grams: Grams, bands: Bands) -> np.ndarray:
    """A number for each band of each text, uint64 [n, bands.count]; every text must have an n-gram.

    The permutations are products with odd numbers modulo 2**64; n-grams that occur twice change nothing.
    """
    odd = step(np.arange(bands.rows * bands.count, dtype=np.uint64) * np.uint64(GOLDEN)) | np.uint64(1)
    found = np.empty((len(grams.lengths), bands.count), np.uint64)
    for first, last in blocks(grams.lengths, TOGETHER):
        start, end = grams.starts[first], grams.starts[last]
        found[first:last] = _block(grams.hashes[start:end], grams.starts[first:last] - start, odd, bands)
    return found


def _block(hashes: np.ndarray, starts: np.ndarray, odd: np.ndarray, bands: Bands) -> np.ndarray:
    """The signatures of a few texts."""
    permuted, least = np.empty_like(hashes), np.empty(len(starts), np.uint64)
    found = np.zeros((bands.count, len(starts)), np.uint64)
    for at, factor in enumerate(odd):
        np.multiply(hashes, factor, out=permuted)
        np.minimum.reduceat(permuted, starts, out=least)
        band = found[at // bands.rows]
        band[:] = step(band ^ least)
    return found.T


def first_open(signatures: np.ndarray, open_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of a text and an earlier one that is the first open text of a band's number that both have.

    Args:
        signatures: uint64 [n, bands], in the order of the texts.
        open_: bool [n], the texts that may be the earlier one of a pair.

    Returns:
        int64 [pairs] the later text and int64 [pairs] the earlier one, each pair once.
    """
    n = len(signatures)
    rank = np.where(open_, np.arange(n), n)
    codes = [np.zeros(0, np.int64)]
    for numbers in signatures.T:
        order = np.argsort(numbers)
        begins = np.flatnonzero(np.diff(numbers[order], prepend=~numbers[order[:1]]))
        first = np.repeat(np.minimum.reduceat(rank[order], begins), np.diff(begins, append=n)) if n else order
        later = first < order
        codes.append(order[later] * n + first[later])
    later, earlier = np.divmod(np.unique(np.concatenate(codes)), max(n, 1))
    return later, earlier
