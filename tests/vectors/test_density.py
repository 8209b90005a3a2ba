import numpy as np
import pytest

from engine.vectors import density
from engine.vectors.density import exact, kernel, sketched


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def clouds():
    """1,500 unit vectors in 40 clouds of very different sizes."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 16))
    sizes = 1 / np.arange(1, 41)
    return unit(centres[rng.choice(40, 1500, p=sizes / sizes.sum())] + 0.2 * rng.normal(size=(1500, 16)))


@pytest.mark.parametrize("distance", [0.05, 0.3, 1.0, 1.9])
def test_the_kernel_is_the_chance_to_fall_into_one_cell(distance):
    rng = np.random.default_rng(1)
    along = rng.normal(size=(200_000, 3)) * distance  # how far apart two vectors lie along random directions
    offset = rng.random((200_000, 3))
    shared = (np.floor(offset) == np.floor(offset + along / 0.5)).all(axis=1).mean()
    assert kernel(np.array([distance]), 0.5)[0] == pytest.approx(shared, abs=4 * np.sqrt(shared / 200_000))


def test_sums_by_hand():
    vectors = unit(np.array([[1.0, 0], [2, 0], [0, 1], [-3, 0]]))
    side, across = kernel(np.array([np.sqrt(2), 2.0]), 1.0)
    expected = [2 + side + across, 2 + side + across, 1 + 3 * side, 1 + side + 2 * across]
    assert exact(lambda: [vectors], 1.0) == pytest.approx(expected, abs=1e-4)
    assert exact(lambda: [vectors[:1]], 1.0).tolist() == sketched(lambda: [vectors[:1]], 1.0, 8, 1).tolist() == [1.0]


def test_the_sketch_comes_nearer_to_the_exact_sums_with_more_hashes(clouds):
    right = exact(lambda: [clouds], 0.5)
    spread = [np.std(sketched(lambda: [clouds], 0.5, hashes, seed=3) / right - 1) for hashes in (32, 512)]
    assert spread[1] < 0.05
    assert spread[0] / spread[1] == pytest.approx(4, rel=0.4)
    estimates = [sketched(lambda: [clouds], 0.5, 64, seed=seed).mean() for seed in range(20)]
    assert np.mean(estimates) == pytest.approx(right.mean(), abs=4 * np.std(estimates) / np.sqrt(20))


@pytest.mark.parametrize("sums", [lambda b: exact(b, 0.5), lambda b: sketched(b, 0.5, 64, 1)])
def test_neither_order_nor_blocks_change_a_bit(clouds, monkeypatch, sums):
    whole = sums(lambda: [clouds])
    order = np.random.default_rng(2).permutation(len(clouds))
    monkeypatch.setattr(density, "BLOCK", 97)
    assert np.array_equal(sums(lambda: np.split(clouds[order], [1, 5, 5, 900])), whole[order])


def test_there_may_be_nothing():
    nothing = np.zeros((0, 4), np.float32)
    assert exact(lambda: [nothing], 0.5).tolist() == sketched(lambda: [nothing], 0.5, 8, 1).tolist() == []
