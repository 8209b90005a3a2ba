import numpy as np
import pytest
from vectors.given import MATRICES, exact, ordered

from engine.vectors import ordered as rooms


@pytest.mark.parametrize("name", MATRICES)
def test_similarities_are_cosines_and_the_same_to_the_last_bit_however_computed(name):
    matrix = MATRICES[name]
    rows = ordered(matrix)
    pairs = exact(rows)
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    assert np.abs(pairs - unit @ unit.T).max() < 3e-7
    assert pairs.max() == 1
    for size in (1, 7, len(matrix)):
        some = np.arange(size)
        assert (rows.among(some) == pairs[:size, :size]).all()


def test_copies_of_another_length_are_equal():
    direction = np.random.default_rng(1).normal(size=512)
    rows = ordered(np.outer(np.linspace(0.001, 900, 200), direction))
    assert (rows.among(np.arange(200)) == 1).all()


def test_what_is_held_and_what_is_read_again_are_one(monkeypatch):
    matrix, order = MATRICES["of all directions"], np.random.default_rng(2).permutation(300)
    whole = ordered(matrix, order)
    monkeypatch.setattr(rooms, "HELD", 4 * 12 * 100)
    partly = ordered(matrix, order)
    for numbers in (slice(0, 90), slice(90, 150), slice(200, 999), np.array([3, 250, 99]), np.array([7, 5])):
        assert (partly.rows(numbers) == whole.rows(numbers)).all()
    some = np.array([299, 0, 120])
    assert (partly.subset(some).rows(slice(0, 3)) == whole.rows(some)).all()
