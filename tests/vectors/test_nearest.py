import numpy as np
import pytest
from vectors.given import MATRICES, exact, ordered

from engine.vectors import nearest
from engine.vectors.nearest import nearest_k
from engine.vectors.nearly import nearly_nearest_k


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("block", [7, 64, 2048])
def test_equals_all_pairs_whatever_the_block(monkeypatch, name, block):
    monkeypatch.setattr(nearest, "BLOCK", block)
    rows = ordered(MATRICES[name], np.random.default_rng(3).permutation(len(MATRICES[name])))
    pairs = exact(rows)
    np.fill_diagonal(pairs, -np.inf)
    by_nearness = np.argsort(-pairs, axis=1, kind="stable")[:, :-1]
    for k in (1, 9, 1000):
        found = nearest_k(rows, k)
        assert (found.rows == by_nearness[:, :k]).all()
        assert (found.similarity == np.take_along_axis(pairs, by_nearness[:, :k], axis=1)).all()


def test_distances_by_hand():
    found = nearest_k(ordered(np.array([[1.0, 0], [0, 5], [3, 3], [-1, 0]])), 2)
    assert found.rows.tolist() == [[2, 1], [2, 0], [0, 1], [1, 2]]
    half = 2 - np.sqrt(2)  # the squared distance of 45 degrees
    distances = [[half, 2], [half, 2], [half, half], [2, 2 + np.sqrt(2)]]
    np.testing.assert_allclose(2 - 2 * found.similarity, distances, atol=1e-6)


@pytest.mark.parametrize("n", [0, 1])
def test_a_row_without_others_has_no_neighbours(n):
    assert nearest_k(ordered(np.ones((n, 3))), 5).rows.shape == (n, 0)


def test_few_cells_hold_most_of_the_nearest_and_all_cells_hold_them_all():
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(60, 24))
    rows = ordered(centres[rng.integers(0, 60, 3000)] + 0.5 * rng.normal(size=(3000, 24)))
    right = nearest_k(rows, 10)
    nearly = nearly_nearest_k(rows, 10, probes=3, seed=1)
    recall = np.mean([np.isin(found, wanted).mean() for found, wanted in zip(nearly.rows, right.rows, strict=True)])
    assert 0.95 <= recall < 1
    assert (np.diff(nearly.similarity, axis=1) <= 0).all()
    everywhere = nearly_nearest_k(rows, 10, probes=10**6, seed=1)
    assert (everywhere.rows == right.rows).all()
    assert (everywhere.similarity == right.similarity).all()


def test_cells_without_enough_others():
    found = nearly_nearest_k(ordered(np.array([[1.0, 0], [0.99, 0.1], [-1, 0], [-0.99, 0.1]])), 2, probes=1, seed=0)
    assert found.rows.tolist() == [[1, 0], [0, 1], [3, 2], [2, 3]]
    assert (found.similarity[:, 1] == -1).all()
    assert nearly_nearest_k(ordered(np.ones((1, 2))), 2, probes=1, seed=0).rows.shape == (1, 0)
