import math

import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run, table

from engine.errors import SetwrightError
from engine.registry import operator
from engine.schema import ERROR

ISA = operator("score", "isa")


def column(vectors, dim=None, kind=pa.float32):
    dim = dim or len(next(v for v in vectors if v is not None))
    return pa.array([None if v is None else list(map(float, v)) for v in vectors], pa.list_(pa.float64(), dim)).cast(
        pa.list_(kind(), dim)
    )


def planted(n=2000, dim=8, share=0.3, seed=0):
    """Two clouds of unit spread about -3 and +3; the first `share` of them, on average, about +3."""
    rng = np.random.default_rng(seed)
    upper = rng.random(n) < share
    return np.where(upper[:, None], 3, -3) + rng.normal(size=(n, dim)), upper


def scores(vectors, **options):
    found = run(ISA, table(embedding=column(vectors)), **options)
    return {name: found[name].to_numpy() for name in found.column_names if name not in ("row_id", ERROR)}


@pytest.fixture(scope="module")
def skewed():
    """200 rows of 6 correlated dimensions in two clouds that overlap."""
    rng = np.random.default_rng(5)
    return (rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)) + rng.choice([0, 2], (200, 1))).astype(np.float32)


def test_the_printed_leave_one_out_is_minus_l_exp_l(skewed):
    found = scores(skewed)
    loglik = found["isa_loglik"]
    norm = [(x - min(loglik)) / (max(loglik) - min(loglik)) for x in loglik]
    p = np.exp(norm)

    def entropy(of):
        return -sum(x * math.log(x) for x in of)

    delta = [entropy(p) - entropy(np.delete(p, i)) for i in range(200)]
    assert found["isa_loglik_norm"] == pytest.approx(norm, abs=1e-12)
    assert found["isa_p"] == pytest.approx(p, abs=1e-12)
    assert found["isa_delta"] == pytest.approx(delta, abs=1e-10)


def test_the_ends_of_the_scale_and_its_middle(skewed):
    found = scores(skewed)
    low, high = found["isa_loglik"].argmin(), found["isa_loglik"].argmax()
    assert [found[name][low] for name in ("isa_loglik_norm", "isa_p", "isa_delta")] == [0, 1, 0]
    assert [found[name][high] for name in ("isa_loglik_norm", "isa_p", "isa_delta")] == [1, math.e, -math.e]
    assert not math.copysign(1, found["isa_delta"][low]) < 0
    # Under one Gaussian, l falls with the square of the distance from the mean: half of it is half-way down.
    apart = np.sqrt([36, 18, 0, 18, 36]) * [1, 1, 1, -1, -1] + 20
    middle = scores(apart[:, None], components=1)
    assert middle["isa_loglik_norm"] == pytest.approx([0, 0.5, 1, 0.5, 0], abs=1e-6)
    assert middle["isa_delta"] == pytest.approx([0, -0.824361, -math.e, -0.824361, 0], abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_mixture_is_told_apart_whatever_the_seed(seed):
    vectors, upper = planted()
    found = scores(vectors, seed=seed)
    assert found["isa_responsibility"].mean() == pytest.approx(1 - upper.mean(), abs=1e-6)
    assert ((found["isa_responsibility"] < 0.5) == upper).all()
    assert (found["isa_explained"] == 1).all()


def test_the_mixture_is_that_of_scikit_learn():
    from sklearn.mixture import GaussianMixture

    vectors = planted(600, 5)[0].astype(np.float32)
    theirs = GaussianMixture(2, reg_covar=1e-9, tol=1e-10, max_iter=500, random_state=0).fit(vectors)
    found = scores(vectors, reg_covar=1e-10, tol=1e-10, max_iter=500)
    assert found["isa_loglik"] == pytest.approx(theirs.score_samples(vectors), rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"pca_dim": 3}, {"standardise": True, "fit_rows": 150}, {"fit_rows": 100}])
def test_neither_order_nor_cut_nor_chunks_change_a_bit(skewed, options):
    given = table(embedding=column(skewed))
    whole = run(ISA, given, **options).sort_by("row_id")
    turned = given.take(np.random.default_rng(1).permutation(200))
    turned = pa.concat_tables([turned.slice(0, 3), turned.slice(3, 90), turned.slice(93)])
    for part_rows in (1, 7, 1000):
        assert run(ISA, turned, part_rows=part_rows, **options).sort_by("row_id").equals(whole)


def test_principal_axes_keep_what_varies_and_say_how_much():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(500, 2)) * [3, 1]
    vectors = plane @ np.linalg.qr(rng.normal(size=(5, 5)))[0][:2] + 10
    noise = rng.normal(size=vectors.shape) * 0.01
    found = scores(vectors + noise, pca_dim=2, components=1)
    assert found["isa_explained"][0] == pytest.approx(1, abs=1e-3)
    assert found["isa_loglik"] == pytest.approx(scores(plane, components=1)["isa_loglik"], abs=0.1)
    one = scores(vectors + noise, pca_dim=1)
    assert one["isa_explained"][0] == pytest.approx(0.9, abs=0.02)  # 9 of 9 + 1


def test_standardised_dimensions_count_alike():
    vectors = planted(400, 3)[0]
    blown_up = vectors * [1000, 1, 0.01]
    alike = scores(blown_up, standardise=True, pca_dim=2)["isa_loglik"]
    assert alike == pytest.approx(scores(vectors, standardise=True, pca_dim=2)["isa_loglik"], abs=1e-3)
    assert scores(blown_up, pca_dim=2)["isa_loglik"] != pytest.approx(scores(vectors, pca_dim=2)["isa_loglik"], abs=1)


def test_rows_that_the_mixture_is_not_fitted_to_are_scored_all_the_same():
    vectors, upper = planted(1000)
    found = scores(vectors, fit_rows=100)
    assert ((found["isa_responsibility"] < 0.5) == upper).all()
    assert (found["isa_loglik"] != scores(vectors)["isa_loglik"]).any()


def test_rows_without_an_embedding_are_null_and_say_why(skewed):
    vectors = [*skewed.tolist()[:50], None, [0.0] * 6, [math.nan] * 6, [1.0, math.inf, 0, 0, 0, 0]]
    found = run(ISA, table(embedding=column(vectors)), part_rows=7)
    wrong = found.slice(50)
    assert wrong["isa_loglik"].null_count == wrong["isa_explained"].null_count == 4
    assert all("no embedding" in why for why in wrong[ERROR].to_pylist())
    assert found.slice(0, 50)[ERROR].null_count == 50
    assert found["isa_loglik"].slice(0, 50).equals(run(ISA, table(embedding=column(vectors[:50])))["isa_loglik"])


def test_what_makes_a_fit_doubtful_is_said(skewed, caplog):
    scores(skewed)
    assert not caplog.records
    scores(skewed[:50])
    assert "50 rows are few for 6 dimensions" in caplog.text
    scores(skewed, max_iter=1)
    assert "still gains after 1 steps" in caplog.text


def test_half_precision_embeddings(skewed):
    half = run(ISA, table(embedding=column(skewed, kind=pa.float16)))["isa_loglik"].to_numpy()
    assert half == pytest.approx(scores(skewed)["isa_loglik"], abs=0.1)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([[1.0, 2.0]] * 5, "all 5 vectors are the same"),
        ([[1.0, 2.0], None], "1 vectors are too few"),
        ([[1.0, 2.0], [3.0, 4.0]], "equally likely"),
    ],
)
def test_embeddings_that_nothing_tells_apart(vectors, said):
    with pytest.raises(SetwrightError, match=said):
        run(ISA, table(embedding=column(vectors)))


def test_no_rows_and_none_with_an_embedding():
    assert run(ISA, table(embedding=column([], 3))).num_rows == 0
    assert run(ISA, table(embedding=column([None, None], 3)))["isa_loglik"].null_count == 2
