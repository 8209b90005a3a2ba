"""Words of texts, their n-grams, and how much the sets of n-grams of two texts share: exact, many at a time.

An n-gram is a 64-bit number that follows from its words alone, so texts of different tables and parts compare. Two
different n-grams share a number with a chance of 2**-64; "exact" is meant but for that. Which pairs are worth a look is
not known here (`minhash`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from engine.texts.hashing import GOLDEN, hash64, step

if TYPE_CHECKING:
    import polars as pl

WORD = r"[\w--\p{Han}\p{Hiragana}\p{Katakana}]+|[\p{Han}\p{Hiragana}\p{Katakana}]"
"""A run of letters, digits and underscores; a Chinese or Japanese character is a word of its own."""

TOGETHER = 2**21  # n-grams of pairs that are intersected in one go; no result depends on it


@dataclass(frozen=True)
class Grams:
    """Numbers of words or n-grams, text after text.

    Attributes:
        hashes: uint64 [all of them].
        starts: int64 [n + 1], where each text begins; the last one is where they end.
    """

    hashes: np.ndarray
    starts: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """int64 [n], how many each text has."""
        lengths: np.ndarray = np.diff(self.starts)
        return lengths

    @property
    def filled(self) -> Grams:
        """The texts that have any."""
        return Grams(self.hashes, np.append(self.starts[:-1][self.lengths > 0], self.starts[-1]))


def words(texts: pa.ChunkedArray | pa.Array) -> Grams:
    """The lower-cased words of texts, string [n], in their order; a null text has none."""
    import polars as pl  # half a second, which a plan shouldn't pay

    split = pl.Series("text", texts, pl.String).str.to_lowercase().str.extract_all(WORD)
    lengths = split.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = split.explode(empty_as_null=False, keep_nulls=False).to_arrow(compat_level=pl.CompatLevel.oldest())
    numbered = flat.dictionary_encode()  # a word is hashed once, however often it occurs
    hashes = hash64(numbered.dictionary)[numbered.indices.to_numpy()]
    return Grams(hashes, np.concatenate([[0], lengths.cumsum()]))


def runs(words: Grams, longest: int) -> Iterator[np.ndarray]:
    """For each length from 1 to `longest`, a number for the run of so many words that begins at each word.

    The last runs of a text reach into the next one, and those of the last text beyond the end, where the array of
    uint64 [all words - length + 1] has none: what lies within a text is for the caller to know. The numbers are not
    mixed yet: `step` makes n-grams of them.
    """
    rolled = words.hashes
    yield rolled
    for length in range(2, longest + 1):
        rolled = (rolled[:-1] * np.uint64(GOLDEN)) ^ words.hashes[length - 1 :]
        yield rolled


def ngrams(words: Grams, n: int) -> Grams:
    """All runs of n words of each text; a text of fewer words has one n-gram, which is all its words."""
    lengths = words.lengths
    counts = np.where(lengths >= n, lengths - n + 1, lengths > 0)
    starts = np.concatenate([[0], counts.cumsum()])
    hashes = np.empty(starts[-1], np.uint64)
    for length, run in enumerate(runs(words, n), 1):
        texts = np.flatnonzero(lengths == length if length < n else lengths >= n)
        hashes[spread(starts[texts], counts[texts])] = run[spread(words.starts[texts], counts[texts])]
    return Grams(step(hashes), starts)


def spread(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The positions start, start + 1, ... of each text, `counts` of them, one text after the other."""
    ends = counts.cumsum()
    positions: np.ndarray = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)
    return positions


def distinct(grams: Grams) -> Grams:
    """Each text's n-grams without repetition, in no order that means anything."""
    sets = lists(grams).list.unique()
    lengths = sets.list.len().to_numpy().astype(np.int64)
    hashes = sets.explode(empty_as_null=False, keep_nulls=False).to_numpy()
    return Grams(hashes, np.concatenate([[0], lengths.cumsum()]))


def lists(grams: Grams) -> pl.Series:
    """A list for each text, on the same memory."""
    import polars as pl

    return pl.Series("grams", pa.LargeListArray.from_arrays(grams.starts, grams.hashes))


def blocks(sizes: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Cuts [0, n) into runs of texts or pairs of about `most` in all, or of a single one that is larger."""
    cuts = np.flatnonzero(np.diff(sizes.cumsum() // most)) + 1
    return list(zip([0, *cuts], [*cuts, len(sizes)], strict=True))


def jaccard(sets: Grams, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The Jaccard similarity of each text of `left` with its counterpart, float64 [pairs]; 0 where both are empty.

    The quotient is rounded once, so that it compares with a limit such as 0.7 as the exact fraction does.

    Args:
        sets: `distinct` n-grams.
        left: int [pairs], positions of texts.
        right: int [pairs], positions of texts.
    """
    size = sets.lengths[left] + sets.lengths[right]
    common = np.zeros(len(left), np.int64)
    numbers = lists(sets)
    for first, last in blocks(size, TOGETHER):
        one, other = numbers.gather(left[first:last]), numbers.gather(right[first:last])
        common[first:last] = one.list.set_intersection(other).list.len().to_numpy()
    similarity: np.ndarray = common / np.maximum(size - common, 1)
    return similarity
