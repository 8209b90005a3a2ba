"""ROUGE-L F1 between texts, exact and many at a time; who is compared with whom is up to operators.

Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), with the tokens of Google's rouge_score without
stemming: runs of a-z and 0-9 in the lower-cased text. The longest common subsequence goes by bits: Hyyrö, "Bit-Parallel
LCS-length Computation Revisited" (2004), a step for each token of one text against all the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

WORD = 64  # bits
TOGETHER = 8  # patterns a step: enough to hide what a call of numpy costs, few enough to stay in the cache
ONES = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class Tokens:
    """Texts as numbers of tokens, one after the other.

    Attributes:
        ids: int32 [all tokens], 0 <= id < size.
        starts: int64 [n + 1], where each text begins; the last one is where they end.
        size: how many different tokens there are.
    """

    ids: np.ndarray
    starts: np.ndarray
    size: int

    @property
    def lengths(self) -> np.ndarray:
        """int64 [n], tokens of each text."""
        lengths: np.ndarray = np.diff(self.starts)
        return lengths

    def of(self, text: int) -> np.ndarray:
        """The tokens of one text."""
        return self.ids[self.starts[text] : self.starts[text + 1]]

    def columns(self, texts: np.ndarray) -> list[np.ndarray]:
        """The first tokens of all texts, the second ones of those that have two, and so on; the longest texts first."""
        starts, lengths = self.starts[texts], self.lengths[texts]
        counts = np.searchsorted(-lengths, -np.arange(lengths.max(initial=0)))  # texts that are longer than that
        return [self.ids[starts[:count] + at] for at, count in enumerate(counts)]


def tokens(texts: pa.ChunkedArray | pa.Array) -> Tokens:
    """The tokens of texts, string [n]; a null or a text without any Latin letter or digit has none."""
    lower = pc.utf8_lower(pc.fill_null(texts, ""))
    plain = pc.utf8_trim(pc.replace_substring_regex(lower, "[^a-z0-9]+", " "), " ")
    split = pc.split_pattern(plain, " ")
    lengths = pc.if_else(pc.equal(plain, ""), 0, pc.list_value_length(split)).to_numpy(zero_copy_only=False)
    flat = pc.list_flatten(split)
    numbers = pc.dictionary_encode(flat.filter(pc.not_equal(flat, "")))
    whole = numbers.unify_dictionaries().combine_chunks() if isinstance(numbers, pa.ChunkedArray) else numbers
    ids = whole.indices.to_numpy(zero_copy_only=False).astype(np.int32)
    return Tokens(ids, np.concatenate([[0], lengths.cumsum()]).astype(np.int64), len(whole.dictionary))


def rouge_l(texts: Tokens, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The F1 of each row with each of the others, float64 [r, o]: twice the common tokens by those of both texts.

    The quotient is rounded once, so that it compares with a limit such as 0.7 as the exact fraction does. Two texts
    without tokens have nothing in common: 0.
    """
    common = lcs(texts, rows, others)
    total = texts.lengths[rows][:, None] + texts.lengths[others]
    similarity: np.ndarray = 2 * common / np.maximum(total, 1)
    return similarity


def lcs(texts: Tokens, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The length of the longest common subsequence of each row with each of the others, int64 [r, o]."""
    found = np.zeros((len(rows), len(others)), np.int64)
    longest_first = np.argsort(-texts.lengths[others], kind="stable")
    columns = texts.columns(others[longest_first])
    words = -(-texts.lengths[rows] // WORD)
    by_words = np.argsort(words, kind="stable")
    for start in range(0, len(rows), TOGETHER):
        batch = by_words[start : start + TOGETHER]
        masks = _masks(texts, rows[batch], max(1, words[batch].max()))
        found[np.ix_(batch, longest_first)] = matched(masks, columns, len(others))
    return found


def _masks(texts: Tokens, rows: np.ndarray, words: int) -> np.ndarray:
    """Where each token stands in each pattern: bits of uint64 [words, patterns, size of the vocabulary]."""
    masks = np.zeros((words, len(rows), texts.size), np.uint64)
    for pattern, row in enumerate(rows):
        ids = texts.of(row)
        word, bit = np.divmod(np.arange(len(ids)), WORD)
        where = (word * len(rows) + pattern) * texts.size + ids
        np.bitwise_or.at(masks.reshape(-1), where, np.uint64(1) << bit.astype(np.uint64))
    return masks


def matched(masks: np.ndarray, columns: list[np.ndarray], n: int) -> np.ndarray:
    """How many positions of each pattern are matched by each text, int64 [patterns, n].

    A zero in `state` is a position of the pattern where the subsequence grows by one; Hyyrö's step is
    V = (V + (V & M)) | (V & ~M), here over patterns of several words, from one to the next with a carry.
    """
    words, patterns, _ = masks.shape
    state = np.full((words, patterns, n), ONES)
    for column in columns:
        carry = None
        for word in range(words):
            live = state[word, :, : len(column)]
            hits = masks[word].take(column, axis=1)
            hits &= live
            total = live + hits
            live ^= hits  # hits are bits of live: this takes them away
            if words > 1:
                over = total < hits
                if carry is not None:
                    total += carry
                    over |= total < carry
                carry = over.astype(np.uint64)
            live |= total
    matched: np.ndarray = np.bitwise_count(~state).sum(axis=0, dtype=np.int64)
    return matched
