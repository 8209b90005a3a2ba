import random
import re

import numpy as np
import pyarrow as pa
import pytest

from engine.texts.hashing import hash64
from engine.texts.shingles import blocks, distinct, jaccard, ngrams, words


def grams(text, n):
    """The n-grams of a text, or all its words where there are fewer."""
    found = re.findall(r"\w+", text.lower())
    return {tuple(found[i : i + n]) for i in range(max(1, len(found) - n + 1))} if found else set()


def numbers(text, n):
    """The same n-grams as the library numbers them."""
    return set(ngrams(words(pa.array([text])), n).hashes.tolist())


def test_a_hash_follows_from_the_bytes_alone():
    given = ["", "a", "a\0", "eight by", "eight by\0", "longer than eight", "ü"]
    together = hash64(pa.array(given)).tolist()
    assert len(set(together)) == len(given)
    assert together == [hash64(pa.array([text])).tolist()[0] for text in given]
    assert hash64(pa.chunked_array([given[:2], given[2:]]).slice(1)).tolist() == together[1:]
    assert hash64(pa.array(["a"]), seed=1).tolist() != together[1:2]


def test_words_are_lower_case_and_without_punctuation():
    same = words(pa.array(["Don't STOP, me_2!", "don t\nstop -- me_2"]))
    assert same.starts.tolist() == [0, 4, 8]
    assert same.hashes[:4].tolist() == same.hashes[4:].tolist()


def test_an_ideograph_is_a_word_and_nothing_has_none():
    assert words(pa.array(["中文 words かな", "", None, "?!"])).lengths.tolist() == [5, 0, 0, 0]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_ngrams_equal_those_of_a_loop(n):
    """Over many texts at once there are as many distinct numbers as n-grams, and texts share what they should."""
    rng = random.Random(n)
    texts = [" ".join(rng.choice("abc") for _ in range(rng.randrange(9))) for _ in range(200)]
    sets = distinct(ngrams(words(pa.array(texts)), n))
    expected = [grams(text, n) for text in texts]
    assert sets.lengths.tolist() == [len(own) for own in expected]
    assert len(np.unique(sets.hashes)) == len(set().union(*expected))
    left, right = np.divmod(np.arange(200 * 200), 200)
    pairs = [(expected[i], expected[j]) for i, j in zip(left, right, strict=True)]
    by_hand = [len(one & other) / max(len(one | other), 1) for one, other in pairs]
    assert jaccard(sets, left, right).tolist() == by_hand


def test_a_short_text_is_one_ngram_that_no_longer_text_has():
    assert numbers("a b c", 5) == numbers("A, b; c", 5)
    assert not numbers("a b c", 5) & numbers("a b c d e f", 5)


def test_seven_of_ten_is_exactly_seven_tenths():
    shared = "a b c d e f g"
    sets = distinct(ngrams(words(pa.array([f"{shared} x", f"{shared} y z"])), 1))
    assert jaccard(sets, np.array([0]), np.array([1])).tolist() == [0.7]


def test_blocks_cover_everything_once():
    sizes = np.array([3, 0, 50, 1, 1, 1, 9])
    cut = blocks(sizes, 4)
    assert [i for first, last in cut for i in range(first, last)] == list(range(7))
    assert (2, 3) in cut or max(last - first for first, last in cut) < 4
    assert blocks(np.zeros(0, np.int64), 4) == [(0, 0)]
