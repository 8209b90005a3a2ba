import numpy as np
import pytest

from engine.statistics.moments import moments, projection


def blocks(vectors):
    return lambda: iter([vectors[:0], *np.array_split(vectors, 7)])


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(500, 5)) @ rng.normal(size=(5, 5)) + 1000).astype(np.float32)


def test_mean_and_covariance(vectors):
    found = moments(blocks(vectors))
    wide = vectors.astype(np.float64)
    assert found.count == 500
    assert found.mean == pytest.approx(wide.mean(axis=0), rel=1e-12)
    assert found.covariance == pytest.approx(np.cov(wide.T, bias=True), rel=1e-9, abs=1e-9)
    assert moments(blocks(vectors), diagonal=True).covariance == pytest.approx(found.variances, rel=1e-12)


def test_vectors_that_all_agree_have_no_variance_at_all():
    same = np.full((50, 3), 0.1, np.float32)
    assert not moments(blocks(same)).covariance.any()
    with pytest.raises(ValueError, match="no vectors"):
        moments(blocks(same[:0]))


def test_principal_axes_are_those_of_the_singular_values(vectors):
    found = projection(blocks(vectors), 2, standardise=False)
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    assert found.explained == pytest.approx((singular[:2] ** 2).sum() / (singular**2).sum(), rel=1e-9)
    assert np.abs(found(vectors)) == pytest.approx(np.abs(centred @ axes[:2].T), abs=1e-3)


@pytest.mark.parametrize("most", [None, 5, 9])
def test_all_axes_stay_as_they_are(vectors, most):
    found = projection(blocks(vectors), most, standardise=False)
    assert (found.kept, found.explained) == (5, 1.0)
    assert found(vectors) == pytest.approx(vectors - vectors.mean(axis=0, dtype=np.float64), abs=1e-4)


def test_standardised_dimensions_have_unit_variance_and_a_constant_one_stays():
    given = np.random.default_rng(0).normal(size=(300, 3)) * [100, 0.01, 0] + [5, 5, 5]
    found = projection(blocks(given), None, standardise=True)(given)
    assert found.std(axis=0) == pytest.approx([1, 1, 0], abs=1e-6)
    assert projection(blocks(given), 2, standardise=True).explained == pytest.approx(1)
