import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run
from pydantic import ValidationError
from vectors.given import MATRICES, column

from engine.registry import operator

DPP = operator("select", "dpp")


def batch_of(matrix, **columns):
    ids = [f"r{i:04}" for i in np.random.default_rng(0).permutation(len(matrix))]
    return pa.table({"row_id": ids, "embedding": column(np.asarray(matrix, float)), **columns})


def picks_of(verdict):
    rank = verdict["select_rank"].fill_null(-1).to_numpy()
    return [int(np.flatnonzero(rank == k)[0]) for k in range((rank >= 0).sum())]


def test_by_hand():
    """After (1, 0, 0) the rows at 90 degrees are worth 1, the one at 45 a half, the one at 60 three quarters."""
    matrix = [[1, 0, 0], [1, 1, 0], [0, 2, 0], [1, 0, np.sqrt(3)]]
    table = batch_of(matrix, score=[9.0, 1.0, 1.0, 1.0])
    verdict = run(DPP, table, budget=3, score="score", theta=0.0)
    assert picks_of(verdict) == [0, 2, 3]
    assert verdict["drop_reason"].to_pylist() == [None, "budget", None, None]
    ids = table["row_id"].to_pylist()
    assert verdict["nn_id"].to_pylist()[:3] == [None, ids[0], ids[0]]
    assert verdict["nn_sim"].to_pylist()[1] == pytest.approx(np.sqrt(0.5), abs=1e-6)


@pytest.mark.parametrize("theta", [0.0, 0.3, 0.8])
def test_maximises_the_scores_and_the_determinant_as_theta_says(theta):
    matrix, score = MATRICES["of all directions"][:40], np.random.default_rng(1).normal(size=40)
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    picks = picks_of(run(DPP, batch_of(matrix, score=score), budget=6, score="score", theta=theta))
    for k in range(6):
        values = {
            i: theta * score[chosen].sum() + (1 - theta) * np.linalg.slogdet(unit[chosen] @ unit[chosen].T)[1]
            for i in set(range(40)) - set(picks[:k])
            for chosen in [[*picks[:k], i]]
        }
        assert values[picks[k]] == pytest.approx(max(values.values()), abs=1e-6)


def test_no_more_picks_than_there_are_dimensions():
    verdict = run(DPP, batch_of(MATRICES["with copies"]), budget=100)
    assert len(picks_of(verdict)) == 5
    assert verdict["drop_reason"].to_pylist().count("no_volume") == 245


@pytest.mark.parametrize("name", MATRICES)
def test_the_order_of_the_rows_and_their_cut_change_nothing(name):
    score = np.random.default_rng(1).integers(0, 3, len(MATRICES[name])) / 2
    table = batch_of(MATRICES[name], score=score)
    whole = run(DPP, table, budget=9, score="score", theta=0.5).sort_by("row_id")
    mixed = table.take(np.random.default_rng(2).permutation(len(table)))
    assert run(DPP, mixed, part_rows=7, budget=9, score="score", theta=0.5).sort_by("row_id").equals(whole)


def test_rows_that_can_not_be_picked_have_reasons_of_their_own():
    embeddings = pa.array([[1, 0], None, [0, 0], [0, 1], [1, 1]], pa.list_(pa.float32(), 2))
    table = pa.table({"row_id": list("abcde"), "embedding": embeddings, "score": [1.0, 9.0, 9.0, None, float("inf")]})
    verdict = run(DPP, table, budget=5, score="score", theta=0.5)
    assert verdict["drop_reason"].to_pylist() == [None, "no_embedding", "no_embedding", "no_score", "no_score"]
    assert run(DPP, table.slice(1, 2), budget=5, score="score", theta=0.5)["selected"].to_pylist() == [False, False]
    assert run(DPP, table.slice(0, 0), budget=5).num_rows == 0


@pytest.mark.parametrize(
    "params", [{}, {"budget": 3, "score": "x"}, {"budget": 3, "theta": 0.5}, {"budget": 3, "score": "x", "theta": 1.0}]
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        DPP.params(**params)
