import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run
from pydantic import ValidationError
from vectors.given import MATRICES, column, exact, ordered

from engine.errors import SetwrightError
from engine.registry import operator

K_CENTER = operator("select", "k_center")


def batch_of(matrix, seed=0, **columns):
    ids = [f"r{i:04}" for i in np.random.default_rng(seed).permutation(len(matrix))]
    return pa.table({"row_id": ids, "embedding": column(np.asarray(matrix, float)), **columns})


def angles(*degrees):
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)


def picks_of(verdict):
    kept = sorted((row for row in verdict.to_pylist() if row["selected"]), key=lambda row: row["select_rank"])
    return [row["row_id"] for row in kept]


def test_by_hand():
    table = batch_of(angles(0, 10, 100, 60, 170)).set_column(0, "row_id", [["a", "b", "c", "d", "e"]])
    verdict = run(K_CENTER, table, budget=3, start="row_id").to_pylist()
    assert [row["select_rank"] for row in verdict] == [0, None, 2, None, 1]
    assert [row["nn_id"] for row in verdict] == [None, "a", "e", "c", "a"]
    sims = [np.cos(np.radians(apart)) for apart in (10, 70, 40, 170)]
    assert [row["nn_sim"] for row in verdict[1:]] == pytest.approx(sims, abs=1e-6)
    assert [row["drop_reason"] for row in verdict] == [None, "budget", None, "budget", None]


def test_starts():
    table = batch_of(angles(0, 10, 20, 80), score=[1.0, 2.0, 9.0, 3.0])
    ids = table["row_id"].to_pylist()
    assert picks_of(run(K_CENTER, table, budget=1, start="row_id", score="score")) == [min(ids)]
    assert picks_of(run(K_CENTER, table, budget=1, start="score", score="score")) == [ids[2]]
    assert picks_of(run(K_CENTER, table, budget=1)) == [ids[2]]  # the mean lies at 27 degrees


@pytest.mark.parametrize("name", MATRICES)
def test_the_order_of_the_rows_and_their_cut_change_nothing(name):
    matrix = MATRICES[name]
    score = np.random.default_rng(1).integers(0, 3, len(matrix)) / 2
    table = batch_of(matrix, score=score)
    for params in ({}, {"score": "score", "cap": 0.7}):
        given = table if params else table.drop_columns(["score"])
        whole = run(K_CENTER, given, budget=60, **params).sort_by("row_id")
        mixed = given.take(np.random.default_rng(2).permutation(len(matrix)))
        assert run(K_CENTER, mixed, part_rows=7, budget=60, **params).sort_by("row_id").equals(whole)


def test_beyond_the_cap_the_score_decides():
    table = batch_of(angles(0, 90, 150, 40), score=[4.0, 3.0, 2.0, 9.0])
    ids = table["row_id"].to_pylist()
    params = {"score": "score", "start": "score", "budget": 3}
    assert picks_of(run(K_CENTER, table, **params)) == [ids[3], ids[2], ids[1]]
    near = 2 - 2 * np.cos(np.radians(30))
    assert picks_of(run(K_CENTER, table, cap=near, **params)) == [ids[3], ids[0], ids[1]]


def test_rows_that_can_not_be_picked_have_reasons_of_their_own():
    embeddings = [[1, 0], None, [0, 0], [0, 1], [float("nan"), 1], [1, 1], [-1, 0], [1, None]]
    scores = pa.array([1.0, 9.0, 9.0, None, 9.0, float("nan"), 0.5, 9.0], from_pandas=False)
    table = pa.table(
        {
            "row_id": [f"r{i}" for i in range(8)],
            "embedding": pa.array(embeddings, pa.list_(pa.float32(), 2)),
            "score": scores,
        }
    )
    verdict = run(K_CENTER, table, budget=9, score="score", min_score=0.6)
    none, low = "no_embedding", "score is below 0.6"
    assert verdict["drop_reason"].to_pylist() == [None, none, none, "no_score", none, "no_score", low, none]
    lost = run(K_CENTER, table, budget=9, score="score", min_score=10.0)
    assert not any(lost["selected"].to_pylist())
    assert lost["nn_id"].null_count == 8


def test_a_budget_above_the_table_keeps_all_and_a_share_counts_all_rows():
    matrix = MATRICES["with copies"]
    everyone = run(K_CENTER, batch_of(matrix), budget=10**6)
    assert sorted(picks_of(everyone)) == sorted(everyone["row_id"].to_pylist())
    assert len(picks_of(run(K_CENTER, batch_of(matrix), share=0.1))) == 25
    assert len(picks_of(run(K_CENTER, batch_of(matrix[:3]), share=0.1))) == 0
    assert run(K_CENTER, batch_of(matrix[:0]), budget=3).num_rows == 0


def test_picks_are_those_of_the_loop_of_active_learning_codes():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    matrix = MATRICES["of all directions"]
    unit = ordered(matrix).rows(slice(0, 300)).astype(np.float64)
    picks = [0]
    nearest = metrics.pairwise_distances(unit, unit[:1]).ravel()
    while len(picks) < 50:
        picks.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, metrics.pairwise_distances(unit, unit[picks[-1:]]).ravel())
    table = batch_of(matrix).set_column(0, "row_id", [[f"r{i:03}" for i in range(300)]])
    assert picks_of(run(K_CENTER, table, budget=50, start="row_id")) == [f"r{i:03}" for i in picks]
    cosines = np.sort(exact(ordered(matrix))[picks].max(axis=0))
    assert cosines[0] == pytest.approx(1 - nearest.max() ** 2 / 2, abs=1e-6)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"budget": 0},
        {"budget": 5, "share": 0.5},
        {"budget": 5, "start": "score"},
        {"budget": 5, "min_score": 1.0},
        {"budget": 5, "cap": 0.0},
        {"budget": 5, "start": "random"},
    ],
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        K_CENTER.params(**params)


def test_a_score_that_is_no_number():
    table = batch_of(angles(0, 10), score=["high", "low"])
    with pytest.raises(SetwrightError, match="score is of type string"):
        run(K_CENTER, table, budget=1, score="score")
