import numpy as np
import pyarrow as pa
import pytest

from engine.vectors.graph import NOT_FOUND, nearest_k_in_cells
from engine.vectors.nearest import nearest_k
from engine.vectors.ordered import Ordered
from engine.vectors.unit import UnitVectors


def ordered(rows):
    lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.astype(np.float32).reshape(-1)), rows.shape[1])
    return Ordered(UnitVectors(pa.chunked_array([lists])), np.arange(len(rows)))


def clouds(n=3000, dim=16, centres=100, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((centres, dim))[rng.integers(0, centres, n)] + 0.5 * rng.standard_normal((n, dim))


def recall(found, exact):
    pairs = zip(found.rows.tolist(), exact.rows.tolist(), strict=True)
    return np.mean([len(set(a) & set(b)) / len(b) for a, b in pairs])


def test_more_probes_find_more_and_all_cells_find_all():
    vectors = ordered(clouds())
    exact = nearest_k(vectors, 10)
    few, some, every = (nearest_k_in_cells(vectors, 10, probes=probes, seed=1) for probes in (1, 24, 10_000))
    assert recall(few, exact) < 0.9 < 0.95 < recall(some, exact)
    assert np.array_equal(every.rows, exact.rows)
    assert np.array_equal(every.similarity, exact.similarity)


def test_no_row_is_its_own_neighbour_even_among_equals():
    rows = np.repeat(np.eye(4), 30, axis=0)
    found = nearest_k_in_cells(ordered(rows), 5, probes=4, seed=1)
    real = found.similarity != NOT_FOUND
    assert real.all()
    assert (found.rows != np.arange(120)[:, None]).all()
    assert (found.similarity == 1).all()


def test_places_that_nothing_was_found_for_are_marked():
    found = nearest_k_in_cells(ordered(np.repeat(np.eye(4), 3, axis=0)), 6, probes=1, seed=1)
    assert ((found.similarity == 1).sum(axis=1) == 2).all()
    missing = found.similarity == NOT_FOUND
    assert (missing.sum(axis=1) == 4).all()
    assert (found.rows[missing] == np.arange(12).repeat(4)).all()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows(n):
    found = nearest_k_in_cells(ordered(np.eye(3)[:n]), 5, probes=3, seed=1)
    assert found.rows.shape == (n, max(n - 1, 0))
