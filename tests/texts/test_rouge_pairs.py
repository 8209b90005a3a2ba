import random
from collections import Counter
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pytest

from engine.texts.rouge import rouge_l, tokens
from engine.texts.rouge_pairs import rouge_l_pairs, rouge_n_pairs


def given(lengths, n=120, letters="abcde", seed=0):
    """Texts of these lengths, and pairs of them."""
    rng = random.Random(seed)
    texts = [[rng.choice(letters) for _ in range(rng.choice(lengths))] for _ in range(n)]
    left, right = np.array([[rng.randrange(n), rng.randrange(n)] for _ in range(3 * n)]).T
    return texts, tokens(pa.array([" ".join(text) for text in texts])), left, right


def grams(text, n):
    return Counter(zip(*(text[i:] for i in range(n)), strict=False))


def lcs(one, other):
    """The textbook's recursion."""

    @lru_cache(None)
    def longest(i, j):
        if i == len(one) or j == len(other):
            return 0
        if one[i] == other[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    return longest(0, 0)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_rouge_n_equals_counted_ngrams(n):
    texts, numbered, left, right = given([0, 1, 2, 5, 20])
    for i, j, f1 in zip(left, right, rouge_n_pairs(numbered, left, right, n), strict=True):
        one, other = grams(texts[i], n), grams(texts[j], n)
        assert f1 == 2 * (one & other).total() / max(one.total() + other.total(), 1)


def test_rouge_l_equals_the_textbook():
    texts, numbered, left, right = given([0, 1, 3, 12, 25])
    for i, j, f1 in zip(left, right, rouge_l_pairs(numbered, left, right), strict=True):
        assert f1 == 2 * lcs(tuple(texts[i]), tuple(texts[j])) / max(len(texts[i]) + len(texts[j]), 1)


def test_long_texts_equal_the_comparison_of_all_with_all():
    """Patterns of one to six words of bits, at their edges."""
    _, numbered, left, right = given([0, 1, 63, 64, 65, 128, 129, 350], letters="abcdefghijklmno")
    everybody = rouge_l(numbered, np.arange(120), np.arange(120))
    assert rouge_l_pairs(numbered, left, right).tolist() == everybody[left, right].tolist()


def test_no_pairs():
    numbered = tokens(pa.array(["a b"]))
    nobody = np.zeros(0, np.int64)
    assert rouge_n_pairs(numbered, nobody, nobody, 2).tolist() == rouge_l_pairs(numbered, nobody, nobody).tolist() == []
