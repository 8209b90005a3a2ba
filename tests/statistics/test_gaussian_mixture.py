import numpy as np
import pytest

from engine.errors import SetwrightError
from engine.statistics.mixture import Mixture, fit
from engine.statistics.starts import starts

KINDS = ("full", "diag", "spherical")


def cut(vectors, size=300):
    return lambda: (vectors[i : i + size] for i in range(0, len(vectors), size))


def planted(n=2000, dim=8, share=0.3):
    rng = np.random.default_rng(0)
    upper = rng.random(n) < share
    return np.where(upper[:, None], 3.0, -3.0) + rng.normal(size=(n, dim)), upper.mean()


def overlapping(n=1500, dim=6, mean=50):
    rng = np.random.default_rng(2)
    skewed = rng.normal(size=(n, dim)) @ rng.normal(size=(dim, dim))
    return skewed + np.where(rng.random(n) < 0.4, 2, 0)[:, None] + mean


def scikit_learn(vectors, covariance, **options):
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(2, covariance_type=covariance, tol=1e-10, max_iter=500, random_state=0, **options).fit(
        vectors
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_planted_mixture_is_recovered_from_any_seed(seed):
    vectors, share = planted()
    found = fit(cut(vectors), seed=seed)
    assert found.converged
    assert found.mixture.weights == pytest.approx([1 - share, share], abs=1e-6)
    assert np.abs(found.mixture.means - [[-3.0] * 8, [3.0] * 8]).max() < 0.1


@pytest.mark.parametrize("covariance", KINDS)
@pytest.mark.parametrize("scale", [1, 300])  # likelihoods down to -1e6, where densities underflow
def test_log_likelihoods_are_those_of_scikit_learn(covariance, scale):
    vectors = overlapping()
    theirs = scikit_learn(vectors, covariance)
    covariances = theirs.covariances_[:, None] if covariance == "spherical" else theirs.covariances_
    far = (vectors - 50) * scale + 50
    loglik, parts = Mixture.of(theirs.weights_, theirs.means_, covariances).parts(far)
    assert loglik == pytest.approx(theirs.score_samples(far), rel=1e-9)
    assert parts == pytest.approx(theirs.predict_proba(far), abs=1e-9)


@pytest.mark.parametrize("covariance", KINDS)
def test_the_fit_is_as_likely_as_that_of_scikit_learn(covariance):
    vectors = overlapping()
    theirs = scikit_learn(vectors, covariance, n_init=4, reg_covar=0)
    ours = fit(cut(vectors), seed=1, covariance=covariance, reg_covar=1e-12, n_init=4, tol=1e-10, max_iter=500)
    assert ours.loglik == pytest.approx(theirs.lower_bound_, abs=1e-6)
    assert ours.mixture.weights == pytest.approx(sorted(theirs.weights_, reverse=True), abs=1e-3)


@pytest.mark.parametrize("covariance", KINDS)
def test_no_step_makes_the_vectors_less_likely(covariance):
    vectors = overlapping()
    steps = [fit(cut(vectors), seed=3, covariance=covariance, tol=1e-12, max_iter=n).loglik for n in range(1, 15)]
    assert (np.diff(steps) > -1e-9).all()
    assert steps[-1] > steps[0] + 1e-3


def test_a_mean_far_away_costs_no_digits():
    near, far = (fit(cut(overlapping(mean=mean)), seed=1, tol=1e-9, max_iter=300) for mean in (0, 1e6))
    assert far.mixture.weights == pytest.approx(near.mixture.weights, abs=1e-5)
    assert far.loglik == pytest.approx(near.loglik, abs=1e-6)


def test_regularisation_is_relative_to_the_variance():
    vectors = overlapping()
    one, thousandth = (fit(cut(vectors * scale), seed=1, reg_covar=0.1).mixture for scale in (1, 1e-3))
    assert thousandth.means == pytest.approx(one.means / 1000)
    assert thousandth.factors == pytest.approx(one.factors * 1000)


def test_several_runs_are_never_worse_than_the_first_of_them():
    vectors = np.random.default_rng(4).normal(size=(300, 3))
    one = [fit(cut(vectors), 6, seed=seed).loglik for seed in range(4)]
    several = [fit(cut(vectors), 6, seed=seed, n_init=5).loglik for seed in range(4)]
    assert all(many >= few for few, many in zip(one, several, strict=True))
    assert min(several) > min(one) + 1e-3


def test_a_run_that_was_cut_short_says_so():
    found = fit(cut(overlapping()), seed=1, tol=1e-12, max_iter=3)
    assert (found.steps, found.converged) == (3, False)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [(np.ones((5, 3)), "all 5 vectors are the same"), (np.eye(3)[:1], "1 vectors are too few")],
)
def test_what_has_no_mixture(vectors, said):
    with pytest.raises(SetwrightError, match=said):
        fit(cut(vectors), seed=1)
    with pytest.raises(SetwrightError, match="positive definite"):
        Mixture.of(np.ones(1), np.zeros((1, 2)), np.array([[[1.0, 2.0], [2.0, 1.0]]]))


def test_starts_lie_far_apart_and_come_from_all_over():
    corners = np.repeat(np.eye(4) * 100, 3000, axis=0) + np.random.default_rng(0).normal(size=(12000, 4))
    found = starts(cut(corners, 1000), 12000, 4, seed=2)
    assert sorted(found.argmax(axis=1)) == [0, 1, 2, 3]
    assert np.abs(found[found.argmax(axis=1).argsort()] - np.eye(4) * 100).max() < 0.5
    assert starts(cut(np.ones((9, 2))), 9, 3, seed=1).tolist() == [[1, 1]] * 3
