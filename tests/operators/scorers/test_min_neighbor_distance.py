import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run
from pydantic import ValidationError

from engine.operators import _cells
from engine.registry import operator
from engine.vectors import disk, surroundings

DISTANCE = operator("score", "min_neighbor_distance")
DUPLICATE = operator("score", "semantic_duplicate")
FAR = operator("select", "min_neighbor_distance")
FLOAT = pa.float32()


def column(vectors, kind=FLOAT, nulls=()):
    values = pa.array(np.ascontiguousarray(vectors).reshape(-1)).cast(kind)
    mask = np.isin(np.arange(len(vectors)), nulls)
    return pa.FixedSizeListArray.from_arrays(values, vectors.shape[1], mask=pa.array(mask))


def rows_of(n=600, dim=12, seed=0):
    """Rows of any length, of which many lie close to another and some are equal to one; ids in no order."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, dim))
    near = rng.integers(0, n, n // 2)
    vectors[: n // 2] = vectors[near] + 0.05 * rng.standard_normal((n // 2, dim))
    vectors[:20] = vectors[20:40]
    ids = [f"r{i:04}" for i in rng.permutation(n)]
    return pa.table(
        {"row_id": pa.array(ids), "embedding": column((vectors * rng.uniform(0.1, 9, (n, 1))).astype(np.float32))}
    )


def cosines(batch):
    """All pairs in float64, -inf for a row with itself."""
    wide = np.array(batch["embedding"].to_pylist())
    rows = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)
    pairs = rows @ rows.T
    np.fill_diagonal(pairs, -np.inf)
    return pairs


def brute_force(batch, repeat_distance=0.05):
    """The three columns of magpie-align/magpie, with itself left out by id and rows in the order of row_id."""
    ids, pairs = batch["row_id"].to_pylist(), cosines(batch)
    columns = {"min_neighbor_distance": [], "repeat_count": [], "min_similar_conversation_id": []}
    for own, row in zip(ids, 2 - 2 * pairs, strict=True):
        repeats = sorted(ids[j] for j in np.flatnonzero(row < repeat_distance))
        columns["min_neighbor_distance"].append(row.min())
        columns["repeat_count"].append(len(repeats))
        columns["min_similar_conversation_id"].append(min(own, repeats[0]) if repeats else None)
    return columns


@pytest.mark.parametrize(("block", "chunk"), [(1024, 4096), (50, 33), (1, 600)])
def test_equals_brute_force(monkeypatch, block, chunk):
    monkeypatch.setattr(surroundings, "BLOCK", block)
    monkeypatch.setattr(surroundings, "CHUNK", chunk)
    batch = rows_of()
    scores, expected = run(DISTANCE, batch), brute_force(batch)
    assert scores["row_id"].equals(batch["row_id"])
    assert scores["min_neighbor_distance"].to_pylist() == pytest.approx(expected["min_neighbor_distance"], abs=1e-5)
    for name in ("repeat_count", "min_similar_conversation_id"):
        assert scores[name].to_pylist() == expected[name]
    assert sum(count > 0 for count in expected["repeat_count"]) > 100
    assert scores["min_neighbor_distance"].to_numpy()[:40].max() == 0  # equal but for their lengths
    assert scores["error"].null_count == len(batch)


def test_by_hand():
    vectors = np.array([[1, 0], [0, 2], [3, 0], [-1, 0]], np.float32)
    scores = run(DISTANCE, pa.table({"row_id": list("dcba"), "embedding": column(vectors)}))
    assert scores["min_neighbor_distance"].to_pylist() == [0, 2, 0, 2]
    assert scores["repeat_count"].to_pylist() == [1, 0, 1, 0]
    assert scores["min_similar_conversation_id"].to_pylist() == ["b", None, "b", None]


def test_rows_that_can_not_be_compared_have_reasons():
    vectors = np.array([[1, 0], [0, 0], [np.inf, 1], [2, 2]], np.float32)
    batch = pa.table({"row_id": list("abcd"), "embedding": column(vectors, nulls=[3])})
    for scorer in (DISTANCE, DUPLICATE):
        scores = run(scorer, batch)
        bad = "the embedding is null, zero or not finite"
        assert scores["error"].to_pylist() == ["there is no other row to compare with", bad, bad, bad]
        assert all(scores[name].null_count == 4 for name in scores.column_names if name not in ("row_id", "error"))
    verdict = run(FAR, batch, min_distance=0.1)
    assert verdict["drop_reason"].to_pylist() == [None, *["no_embedding"] * 3]
    assert run(FAR, batch.slice(0, 0), min_distance=0.1).num_rows == run(DISTANCE, batch.slice(0, 0)).num_rows == 0


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32()])
@pytest.mark.parametrize("cells", [1, 9])
def test_neither_memory_nor_order_nor_cut_changes_a_score(monkeypatch, kind, cells):
    batch = rows_of(300)
    vectors = np.array(batch["embedding"].to_pylist(), np.float16)
    batch = batch.set_column(1, "embedding", column(vectors, kind, nulls=[5]))
    calls = [
        (DISTANCE, {"clusters": cells}),
        (DUPLICATE, {"clusters": cells}),
        (FAR, {"min_distance": 0.1, "clusters": cells}),
    ]
    usual = [run(op, batch, **params).sort_by("row_id") for op, params in calls]
    monkeypatch.setattr(_cells, "HELD", 0)  # through the file
    monkeypatch.setattr(disk, "REGION", 4 * 12 * 50)
    monkeypatch.setattr(surroundings, "BLOCK", 33)
    monkeypatch.setattr(surroundings, "CHUNK", 20)
    shuffled = batch.take(np.random.default_rng(3).permutation(300))
    for (op, params), expected in zip(calls, usual, strict=True):
        assert run(op, shuffled, part_rows=7, **params).sort_by("row_id").equals(expected)


def test_cells_find_no_nearer_neighbour():
    batch = rows_of()
    exact, within = (run(DISTANCE, batch, clusters=cells) for cells in (1, 8))
    one, other = (scores["min_neighbor_distance"].to_numpy() for scores in (exact, within))
    assert (other >= one).all()
    assert 0.5 < (other == one).mean() < 1


def test_semantic_duplicates_name_the_lowest_id_and_every_row_has_a_similarity():
    batch = rows_of()
    ids, pairs = batch["row_id"].to_pylist(), cosines(batch)
    scores = run(DUPLICATE, batch, eps=0.04)
    expected = [min([ids[j] for j in np.flatnonzero(row > 0.96)], default=None) for row in pairs]
    expected = [other if other is not None and other < own else None for own, other in zip(ids, expected, strict=True)]
    assert scores["semantic_duplicate_of"].to_pylist() == expected
    assert scores["semantic_similarity"].to_pylist() == pytest.approx(pairs.max(axis=1).tolist(), abs=1e-6)


def test_many_rows_are_compared_by_cells(monkeypatch):
    monkeypatch.setattr("engine.operators.scorers.semantic_duplicate.EXACT_ROWS", 100)
    batch = rows_of()
    usual, cells = run(DUPLICATE, batch), run(DUPLICATE, batch, clusters=24)  # sqrt(600)
    assert usual.equals(cells)
    assert not usual.equals(run(DUPLICATE, batch, clusters=1))


@pytest.mark.parametrize("limit", [1e-6, 0.05, 0.6])
def test_selects_what_is_far_from_every_other_row(limit):
    batch = rows_of()
    nearest = (2 - 2 * cosines(batch)).min(axis=1)
    verdict = run(FAR, batch, min_distance=limit)
    far = nearest > limit
    assert verdict["selected"].to_pylist() == far.tolist()
    assert set(verdict["drop_reason"].drop_null().to_pylist()) <= {"too_near"}
    ranked = np.argsort(np.where(far, verdict["select_rank"].fill_null(0).to_numpy(), len(batch)))[: far.sum()]
    assert (np.diff(nearest[ranked]) <= 1e-6).all()
    assert verdict["nn_sim"].to_pylist() == pytest.approx((1 - nearest / 2).tolist(), abs=1e-6)


def test_all_copies_of_a_row_are_dropped_whatever_their_lengths():
    batch = pa.table({"row_id": list("abc"), "embedding": column(np.array([[1, 0], [2, 0], [0, 1]], np.float32))})
    verdict = run(FAR, batch, min_distance=0.0)
    assert verdict["selected"].to_pylist() == [False, False, True]
    assert verdict["nn_id"].to_pylist() == ["b", "a", "a"]


@pytest.mark.parametrize(
    ("op", "params"),
    [
        (DISTANCE, {"repeat_distance": 0}),
        (DISTANCE, {"clusters": 0}),
        (DUPLICATE, {"eps": 0}),
        (DUPLICATE, {"eps": 1.0}),
        (FAR, {}),
        (FAR, {"min_distance": -1}),
    ],
)
def test_wrong_parameters(op, params):
    with pytest.raises(ValidationError):
        op.params(**params)
