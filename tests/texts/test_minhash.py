import numpy as np
import pyarrow as pa
import pytest

from engine.texts.minhash import Bands, bands, first_open, signatures
from engine.texts.shingles import Grams, distinct, jaccard, ngrams, words


def sets_of(similarity, pairs, size=200):
    """Pairs of sets of random numbers, the first and the second one side by side, of this Jaccard similarity."""
    rng = np.random.default_rng(3)
    common = round(size * 2 * similarity / (1 + similarity))
    numbers = rng.integers(0, 2**63, (pairs, 2 * size - common)).astype(np.uint64)
    both = np.concatenate([numbers[:, :size], numbers[:, -size:]], axis=1)
    return Grams(both.reshape(-1), np.arange(2 * pairs + 1) * size)


def test_the_bands_of_a_threshold():
    """1 - (1 - 0.7 ** 4) ** 17 is 0.991, and with 16 bands 0.988."""
    assert bands(0.7, 0.99) == Bands(rows=4, count=17)
    assert bands(1.0, 0.99).count == 1


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_recall_right_at_the_threshold(threshold):
    sets = sets_of(threshold, 2000)
    assert jaccard(sets, np.array([0]), np.array([1]))[0] == pytest.approx(threshold, abs=0.01)
    numbers = signatures(sets, bands(threshold, 0.99))
    met = (numbers[::2] == numbers[1::2]).any(axis=1).mean()
    assert met > 0.98


def test_what_is_unlike_seldom_meets():
    numbers = signatures(sets_of(0.1, 2000), bands(0.7, 0.99))
    assert (numbers[::2] == numbers[1::2]).any(axis=1).mean() < 0.01  # 17 * 0.1 ** 4 is 0.0017


def test_signatures_know_neither_order_nor_repetition_nor_neighbours():
    once = ngrams(words(pa.array(["a b c d", "x y"])), 2)
    often = ngrams(words(pa.array(["c d a b c d c d a b", "x y"])), 2)
    sets, repeated = distinct(once), distinct(often)
    cut = bands(0.7, 0.9)
    assert (signatures(once, cut) == signatures(sets, cut)).all()
    assert (signatures(often, cut) == signatures(repeated, cut)).all()
    alone = signatures(ngrams(words(pa.array(["x y"])), 2), cut)
    assert (signatures(once, cut)[1] == alone[0]).all()
    assert signatures(Grams(np.zeros(0, np.uint64), np.zeros(1, np.int64)), cut).shape == (0, cut.count)


def test_first_open_by_hand():
    """Texts 0, 1 and 3 share the first band's number, 2 and 3 the second's; 0 is not open."""
    numbers = np.array([[7, 1], [7, 2], [8, 3], [7, 3]], np.uint64)
    pairs = first_open(numbers, np.array([False, True, True, True]))
    assert list(zip(*(side.tolist() for side in pairs), strict=True)) == [(3, 1), (3, 2)]
    assert first_open(np.zeros((0, 2), np.uint64), np.zeros(0, bool))[0].tolist() == []
