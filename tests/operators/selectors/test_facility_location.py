import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run
from pydantic import ValidationError
from vectors.given import MATRICES, column

from engine.errors import SetwrightError
from engine.registry import operator

FACILITY = operator("select", "facility_location")


def batch_of(matrix, **columns):
    ids = [f"r{i:04}" for i in np.random.default_rng(0).permutation(len(matrix))]
    return pa.table({"row_id": ids, "embedding": column(np.asarray(matrix, float)), **columns})


def angles(*degrees):
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)


def picks_of(verdict):
    rank = verdict["select_rank"].fill_null(-1).to_numpy()
    return [int(np.flatnonzero(rank == k)[0]) for k in range((rank >= 0).sum())]


def test_by_hand():
    """The middle of three stands for all of them; then comes the pair, then the first that is not in the middle."""
    table = batch_of(angles(0, 20, 40, 200, 201)).set_column(0, "row_id", [["a", "b", "c", "d", "e"]])
    verdict = run(FACILITY, table, budget=3, k=4)
    assert picks_of(verdict) == [1, 3, 0]
    assert verdict["nn_id"].to_pylist() == ["b", None, "b", None, "d"]
    sims = [np.cos(np.radians(apart)) for apart in (20, 20, 1)]
    assert verdict["nn_sim"].drop_null().to_pylist() == pytest.approx(sims, abs=1e-6)


def test_the_score_weighs_as_it_is_told():
    """Each of two pairs at right angles: 1 + cos 10 for any of its rows, unless a score counts more."""
    table = batch_of(angles(0, 10, 90, 100), score=[0.0, 10.0, 20.0, 40.0])
    params = {"budget": 2, "k": 3, "score": "score"}
    assert picks_of(run(FACILITY, table, weight=0.5, scale="range", **params)) == [3, 1]
    assert picks_of(run(FACILITY, table, weight=10.0, scale="range", **params)) == [3, 2]
    assert picks_of(run(FACILITY, table, weight=3.0, scale="rank", **params)) == [3, 1]
    assert picks_of(run(FACILITY, table, weight=1.0, scale="none", **params)) == [3, 2]
    with pytest.raises(SetwrightError, match="score times weight reaches 4e\\+12"):
        run(FACILITY, table, weight=1e11, scale="none", **params)


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("params", [{}, {"score": "score", "weight": 0.5, "scale": "rank"}, {"method": "stochastic"}])
def test_the_order_of_the_rows_and_their_cut_change_nothing(name, params):
    table = batch_of(MATRICES[name])
    if "score" in params:
        table = table.append_column("score", pa.array(np.random.default_rng(1).integers(0, 3, len(table))))
    whole = run(FACILITY, table, budget=40, k=8, **params).sort_by("row_id")
    mixed = table.take(np.random.default_rng(2).permutation(len(table)))
    assert run(FACILITY, mixed, part_rows=7, budget=40, k=8, **params).sort_by("row_id").equals(whole)


def test_an_approximate_search_that_looks_everywhere_is_the_exact_one():
    table = batch_of(MATRICES["of all directions"])
    exact = run(FACILITY, table, budget=40, k=8)
    assert run(FACILITY, table, budget=40, k=8, search="approximate", probes=300).equals(exact)
    few = run(FACILITY, table, budget=40, k=8, search="approximate", probes=1)
    assert len(picks_of(few)) == 40
    assert not few.equals(exact)


def test_the_seed_draws_the_samples():
    table = batch_of(MATRICES["of all directions"])
    one, other = (run(FACILITY, table, seed=seed, budget=40, method="stochastic", epsilon=0.5) for seed in (1, 2))
    assert picks_of(one) != picks_of(other)


def test_rows_that_can_not_be_picked_have_reasons_of_their_own():
    embeddings = pa.array([[1, 0], None, [0, 0], [0, 1], [1, 1]], pa.list_(pa.float32(), 2))
    table = pa.table({"row_id": list("abcde"), "embedding": embeddings, "score": [1.0, 9.0, 9.0, None, float("nan")]})
    params = {"budget": 5, "score": "score", "weight": 1.0, "scale": "range"}
    verdict = run(FACILITY, table, **params)
    assert verdict["drop_reason"].to_pylist() == [None, "no_embedding", "no_embedding", "no_score", "no_score"]
    assert run(FACILITY, table.slice(1, 2), **params)["selected"].to_pylist() == [False, False]
    assert run(FACILITY, table.slice(0, 0), budget=5).num_rows == 0


def test_a_budget_above_the_table_keeps_all():
    verdict = run(FACILITY, batch_of(MATRICES["of one direction"]), budget=10**6)
    assert picks_of(verdict) == np.argsort(verdict["row_id"].to_pylist()).tolist()  # equals by row_id


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"budget": 3, "k": 0},
        {"budget": 3, "score": "x"},
        {"budget": 3, "score": "x", "weight": 1.0},
        {"budget": 3, "method": "stochastic", "epsilon": 0.0},
    ],
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        FACILITY.params(**params)
