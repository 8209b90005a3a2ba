import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run, table

from engine.registry import operator
from engine.vectors.density import kernel

DENSITY = operator("select", "density")


def column(vectors, dim=2):
    return pa.array([None if v is None else [float(x) for x in v] for v in vectors], pa.list_(pa.float32(), dim))


def kept(verdict):
    return set(verdict.filter(verdict["selected"])["row_id"].to_pylist())


@pytest.mark.parametrize("method", ["exact", "sketch"])
def test_the_first_pick_is_drawn_in_inverse_proportion_to_density(method):
    vectors = [[1.0, 0.0]] * 9 + [[0.0, 1.0]] + [[-1.0, 0.0]] * 3
    side, across = kernel(np.array([np.sqrt(2), 2.0]), 0.5)
    density = np.array([9 + side + 3 * across] * 9 + [1 + 12 * side] + [3 + side + 9 * across] * 3)
    chance = 1 / density / (1 / density).sum()
    first = np.zeros(13)
    for seed in range(300):
        verdict = run(DENSITY, table(embedding=column(vectors)), budget=1, seed=seed, method=method)
        first[verdict["select_rank"].is_valid().to_numpy()] += 1
    of_each_place = np.add.reduceat(first, [0, 9, 10])
    expected = np.add.reduceat(chance, [0, 9, 10]) * 300
    assert of_each_place.sum() == 300
    assert np.abs(of_each_place - expected).max() < 3.5 * np.sqrt(expected.max())


def test_a_dense_cloud_loses_most_of_its_rows_and_the_rest_little():
    rng = np.random.default_rng(0)
    cloud = np.array([5.0, *[0] * 7]) + 0.1 * rng.normal(size=(800, 8))
    alone = rng.normal(size=(200, 8))
    verdict = run(DENSITY, table(embedding=column(np.concatenate([cloud, alone]), 8)), share=0.2)
    selected = verdict["selected"].to_numpy()
    assert selected.sum() == 200
    assert selected[:800].mean() < 0.15
    assert selected[800:].mean() > 0.6


@pytest.mark.parametrize("method", ["exact", "sketch"])
def test_neither_order_nor_cut_matter_and_a_smaller_sample_is_part_of_a_larger(method):
    vectors = np.random.default_rng(0).normal(size=(300, 4))
    given = table(embedding=column(vectors, 4))
    whole = run(DENSITY, given, budget=50, method=method).sort_by("row_id")
    turned = given.take(np.random.default_rng(1).permutation(300))
    for part_rows in (1, 7, 300):
        assert run(DENSITY, turned, budget=50, method=method, part_rows=part_rows).sort_by("row_id").equals(whole)
    assert kept(run(DENSITY, given, budget=20, method=method)) < kept(whole)
    assert kept(run(DENSITY, given, budget=50, method=method, seed=18)) != kept(whole)


def test_rows_without_an_embedding_and_budgets_beyond_the_table():
    verdict = run(DENSITY, table(embedding=column([[1, 0], None, [0, 0], [0, 1]])), budget=9)
    assert verdict["drop_reason"].to_pylist() == [None, "no_embedding", "no_embedding", None]
    assert sorted(verdict["select_rank"].drop_null().to_pylist()) == [0, 1]
    assert (
        run(DENSITY, table(embedding=column([None] * 2)), budget=1)["drop_reason"].to_pylist() == ["no_embedding"] * 2
    )
    assert run(DENSITY, table(embedding=column([])), budget=1).num_rows == 0
