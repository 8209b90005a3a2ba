"""Which known texts stand in others, whole or in part, by runs of words that both have; exact, many at a time."""

from __future__ import annotations

import numpy as np

from engine.texts.hashing import step
from engine.texts.shingles import Grams, blocks, distinct, ngrams, runs, spread

NOBODY = -1
SIEVE_BITS = 22  # of a number: a table of them tells of most runs that no known text has them
TOGETHER = 2**22  # pairs of a text and a known one that are counted in one go; no result depends on it


class Known:
    """The n-grams of known texts, and in which texts each stands.

    A text of fewer than n words has one n-gram, which is all its words: it is found where it stands as a whole.

    Args:
        words: the words of the texts; of equal findings the earlier text wins.
        n: words of an n-gram.
        least: a text of fewer words than that is not looked for.
    """

    def __init__(self, words: Grams, n: int, least: int) -> None:
        self._n = n
        self._lengths = np.unique(np.minimum(words.lengths[words.lengths >= least], n))
        sets = distinct(ngrams(words, n))
        self._counts = np.where(words.lengths >= least, sets.lengths, 0)
        text = np.repeat(np.arange(len(self._counts)), sets.lengths)
        wanted = self._counts[text] > 0
        hashes, self._texts = sets.hashes[wanted], text[wanted]
        order = np.argsort(hashes, kind="stable")
        self._texts = self._texts[order]
        self._hashes, self._first, self._many = np.unique(hashes[order], return_index=True, return_counts=True)
        self._sieve = np.zeros(2**SIEVE_BITS, bool)
        self._sieve[_top(self._hashes)] = True

    def best(self, words: Grams) -> tuple[np.ndarray, np.ndarray]:
        """For each text the known one of whose n-grams it has the largest share.

        Returns:
            int [n], its position, `NOBODY` where no n-gram is found; float64 [n], the share in (0, 1], 0 for none.
        """
        text, gram = self._hits(words)
        best, share = np.full(len(words.lengths), NOBODY), np.zeros(len(words.lengths))
        per_text = np.bincount(text, self._many[gram], minlength=len(best)).astype(np.int64)
        ends = np.cumsum(np.bincount(text, minlength=len(best)))
        for first, last in blocks(per_text, TOGETHER):
            here = slice(ends[first - 1] if first else 0, ends[last - 1] if last else 0)
            found, known, shares = self._shares(text[here], gram[here])
            order = np.lexsort((known, -shares, found))
            top = order[np.unique(found[order], return_index=True)[1]]
            best[found[top]], share[found[top]] = known[top], shares[top]
        return best, share

    def _hits(self, words: Grams) -> tuple[np.ndarray, np.ndarray]:
        """The known n-grams that stand in each text, each once: the text and the n-gram's number, by text."""
        codes = [np.zeros(0, np.int64)]
        for length, run in enumerate(runs(words, self._n), 1):
            if length not in self._lengths:
                continue
            hashes = step(run)
            at = np.flatnonzero(self._sieve[_top(hashes)])
            text = np.searchsorted(words.starts, at, side="right") - 1
            gram = np.searchsorted(self._hashes, hashes[at])
            inside = (at + length <= words.starts[text + 1]) & (gram < len(self._hashes))
            at, text, gram = at[inside], text[inside], gram[inside]
            equal = self._hashes[gram] == hashes[at]
            codes.append(text[equal] * len(self._hashes) + gram[equal])
        text, gram = np.divmod(np.unique(np.concatenate(codes)), max(len(self._hashes), 1))
        return text, gram

    def _shares(self, text: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pairs of a text and a known one that have an n-gram in common, and the share of the known one's."""
        known = self._texts[spread(self._first[gram], self._many[gram])]
        codes, common = np.unique(np.repeat(text, self._many[gram]) * len(self._counts) + known, return_counts=True)
        found, known = np.divmod(codes, max(len(self._counts), 1))
        return found, known, common / self._counts[known]


def _top(hashes: np.ndarray) -> np.ndarray:
    """The upper bits of numbers."""
    top: np.ndarray = hashes >> np.uint64(64 - SIEVE_BITS)
    return top
