"""ROUGE-N and ROUGE-L F1 of texts with a counterpart each: many pairs at a time, where `rouge` compares all with all.

Lin (2004), as in `rouge`: its tokens, its subsequences by bits, and quotients that are rounded once.
"""

from __future__ import annotations

import numpy as np

from engine.texts.rouge import WORD, Tokens, matched
from engine.texts.shingles import spread


def rouge_n_pairs(texts: Tokens, left: np.ndarray, right: np.ndarray, n: int) -> np.ndarray:
    """The F1 of the n-grams of each text of `left` with its counterpart, float64 [pairs]; 0 where neither has one.

    An n-gram counts as often as both texts have it.
    """
    grams = _grams(texts, n)
    (one, often), (other, so_often) = (_counted(grams, side) for side in (left, right))
    both, first, second = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    common = np.bincount(both // grams.size, np.minimum(often[first], so_often[second]), minlength=len(left))
    return _f1(common, grams, left, right)


def rouge_l_pairs(texts: Tokens, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The F1 of the longest common subsequence of each text of `left` with its counterpart, float64 [pairs]."""
    shorter = texts.lengths[left] <= texts.lengths[right]
    patterns, others = np.where(shorter, left, right), np.where(shorter, right, left)
    words = -(-texts.lengths[patterns] // WORD)
    common = np.zeros(len(left), np.int64)
    for count in np.unique(words[words > 0]):
        pairs = np.flatnonzero(words == count)
        pairs = pairs[np.argsort(-texts.lengths[others[pairs]], kind="stable")]
        common[pairs] = _lcs(texts, patterns[pairs], others[pairs], int(count))
    return _f1(common, texts, left, right)


def _f1(common: np.ndarray, grams: Tokens, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    similarity: np.ndarray = 2 * common / np.maximum(grams.lengths[left] + grams.lengths[right], 1)
    return similarity


def _grams(texts: Tokens, n: int) -> Tokens:
    """The n-grams of texts, numbered like tokens."""
    counts = np.maximum(texts.lengths - n + 1, 0)
    at = spread(texts.starts[:-1], counts)
    ids, size = texts.ids[at].astype(np.int64), texts.size
    for further in range(1, n):
        known, ids = np.unique(ids * texts.size + texts.ids[at + further], return_inverse=True)
        size = len(known)
    return Tokens(ids, np.concatenate([[0], counts.cumsum()]), max(size, 1))


def _counted(grams: Tokens, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams of one side of all pairs as pair * size + n-gram, in their order, and how often each occurs."""
    return np.unique(_coded(grams, side), return_counts=True)


def _coded(grams: Tokens, side: np.ndarray) -> np.ndarray:
    """The n-grams of one side of all pairs, one after the other, each as pair * size + n-gram."""
    counts = grams.lengths[side]
    coded: np.ndarray = (
        np.repeat(np.arange(len(side)), counts) * grams.size + grams.ids[spread(grams.starts[side], counts)]
    )
    return coded


def _lcs(texts: Tokens, patterns: np.ndarray, others: np.ndarray, words: int) -> np.ndarray:
    """The length of the longest common subsequence of each pattern, of so many words of bits, with its counterpart.

    The tokens of each pair get numbers of their own, so that all pairs look for their bits in one table; a token that
    the pattern lacks has the last number, which has no bits. The longest counterparts come first.
    """
    known, number = np.unique(_coded(texts, patterns), return_inverse=True)
    lengths = texts.lengths[patterns]
    word, bit = np.divmod(spread(np.zeros_like(lengths), lengths), WORD)
    masks = np.zeros((words, 1, len(known) + 1), np.uint64)
    np.bitwise_or.at(masks.reshape(-1), word * masks.shape[2] + number, np.uint64(1) << bit.astype(np.uint64))
    coded = _coded(texts, others)
    place = np.minimum(np.searchsorted(known, coded), len(known) - 1)
    place[known[place] != coded] = len(known)
    counterparts = Tokens(place, np.concatenate([[0], texts.lengths[others].cumsum()]), len(known) + 1)
    common: np.ndarray = matched(masks, counterparts.columns(np.arange(len(others))), len(others))[0]
    return common
