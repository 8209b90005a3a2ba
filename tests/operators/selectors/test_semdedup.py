import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run
from pydantic import ValidationError

from engine.operators import _cells
from engine.registry import operator
from engine.vectors import disk, repeats
from engine.vectors.cells import assign, kmeans

SEMDEDUP = operator("select", "semdedup")
EPS = 0.1

FLOAT = pa.float32()


def column(vectors, kind=FLOAT, nulls=()):
    values = pa.array(np.ascontiguousarray(vectors).reshape(-1)).cast(kind)
    mask = np.isin(np.arange(len(vectors)), nulls)
    return pa.FixedSizeListArray.from_arrays(values, vectors.shape[1], mask=pa.array(mask))


def unit(vectors):
    wide = vectors.astype(np.float64)
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


def clusters(n=1500, dim=16, seed=0):
    """Rows near to power-law sized clusters, some pairs above the limit and some below it."""
    rng = np.random.default_rng(seed)
    sizes = 1 / np.arange(1, n // 4 + 1)
    centres = unit(rng.standard_normal((len(sizes), dim)))
    near = rng.uniform(0.9, 0.99, (n, 1))
    noise = unit(rng.standard_normal((n, dim)))
    vectors = centres[rng.choice(len(sizes), n, p=sizes / sizes.sum())] * near + noise * np.sqrt(1 - near**2)
    return (vectors * rng.uniform(0.1, 9, (n, 1))).astype(np.float32)


def batch_of(vectors, **columns):
    ids = np.random.default_rng(9).permutation(len(vectors))
    ids = pa.array([f"r{i:05}" for i in ids], pa.string())
    return pa.table({"row_id": ids, "embedding": column(vectors), **columns})


def all_pairs(vectors, order, limit=1 - EPS):
    """The rule, one row after the other: what each row repeats, by position; None for what stays."""
    rows = unit(vectors)
    repeats = {}
    for place, i in enumerate(order):
        above = np.flatnonzero(rows[order[:place]] @ rows[i] > limit)
        repeats[i] = order[above[0]] if len(above) else None
    return repeats


def order_of(vectors, batch, keep):
    """The order in which rows come, from the mean direction of all; ties by row_id."""
    rows = unit(vectors)
    mean = rows.mean(axis=0)
    cosine = rows @ (mean / np.linalg.norm(mean)).astype(np.float32)
    return np.lexsort((batch["row_id"].to_pylist(), (cosine if keep == "hard" else -cosine).round(9)))


@pytest.mark.parametrize("keep", ["hard", "easy"])
@pytest.mark.parametrize("block", [1024, 64])
def test_one_cell_equals_the_rule_over_all_pairs(monkeypatch, keep, block):
    monkeypatch.setattr(repeats, "BLOCK", block)
    monkeypatch.setattr(repeats, "SMALLEST", max(block // 16, 8))
    vectors = clusters()
    batch = batch_of(vectors)
    expected = all_pairs(vectors, order_of(vectors, batch, keep))
    verdict = run(SEMDEDUP, batch, eps=EPS, clusters=1, keep=keep, part_rows=333)
    ids = batch["row_id"].to_pylist()
    named = [expected[i] for i in range(len(ids))]
    assert 300 < sum(i is None for i in named) < 1200
    assert verdict["nn_id"].to_pylist() == [None if j is None else ids[j] for j in named]
    assert verdict["selected"].to_pylist() == [j is None for j in named]
    rows = unit(vectors)
    cosines = [None if j is None else float(rows[i] @ rows[j]) for i, j in enumerate(named)]
    assert verdict["nn_sim"].to_pylist() == pytest.approx(cosines, abs=1e-6)
    assert set(verdict["drop_reason"].to_pylist()) == {None, "semantic_duplicate"}


@pytest.mark.parametrize("nearest_cells", [1, 2])
def test_cells_are_compared_each_by_itself(nearest_cells):
    """Against the same rule on cells found with the sample that the operator draws: here, all rows by their ids."""
    vectors = clusters()
    batch = batch_of(vectors)
    ids = np.array(batch["row_id"].to_pylist())
    by_id = np.argsort(ids)
    rows = unit(vectors).astype(np.float32)
    centroids = kmeans(rows[by_id], 25, seed=17)
    cosines = rows.astype(np.float64) @ centroids.T.astype(np.float64)
    cells = np.argsort(-cosines, axis=1)[:, :nearest_cells]
    cell, cosine = assign(rows, centroids)
    assert np.array_equal(cells[:, 0], cell)
    order = np.lexsort((ids, cosine))
    expected = {}
    for place, i in enumerate(order):
        others = order[:place]
        shared = (cells[others][:, :, None] == cells[i][None, None, :]).any(axis=(1, 2))
        above = np.flatnonzero((unit(vectors)[others] @ unit(vectors)[i] > 1 - EPS) & shared)
        expected[i] = ids[others[above[0]]] if len(above) else None
    verdict = run(SEMDEDUP, batch, eps=EPS, clusters=25, nearest_clusters=nearest_cells)
    assert verdict["nn_id"].to_pylist() == [expected[i] for i in range(len(ids))]


def test_a_second_cell_finds_more():
    vectors = clusters()
    kept = [
        run(SEMDEDUP, batch_of(vectors), eps=EPS, clusters=cells, nearest_clusters=k)["selected"].to_numpy().sum()
        for cells, k in [(1, 1), (60, 2), (60, 1)]
    ]
    assert kept == sorted(kept)
    assert kept[1] < kept[2]


def test_the_best_score_stays():
    vectors = np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 1]], np.float32)
    batch = pa.table({"row_id": list("abcd"), "embedding": column(vectors), "score": [1.0, 3.0, None, 0.0]})
    verdict = run(SEMDEDUP, batch, clusters=1, keep="score", score="s")
    assert verdict["drop_reason"].to_pylist() == ["semantic_duplicate", None, "no_score", None]
    assert verdict["select_rank"].to_pylist() == [None, 0, None, 1]
    assert verdict["nn_id"].to_pylist() == ["b", None, None, None]


def test_of_a_chain_of_neighbours_the_first_stays_alone():
    turns = np.deg2rad([0, 20, 40])  # neighbours at cosine 0.94, ends at 0.77
    batch = pa.table(
        {"row_id": list("abc"), "embedding": column(np.c_[np.cos(turns), np.sin(turns)]), "score": [3, 2, 1]}
    )
    verdict = run(SEMDEDUP, batch, eps=0.1, clusters=1, keep="score", score="s")
    assert verdict["nn_id"].to_pylist() == [None, "a", "b"]


def test_equal_rows_are_left_by_the_one_of_lowest_id():
    batch = pa.table({"row_id": ["c", "a", "b"], "embedding": column(np.ones((3, 5), np.float32))})
    for params in ({}, {"clusters": 1}, {"nearest_clusters": 2}, {"keep": "easy"}):
        verdict = run(SEMDEDUP, batch, **params)
        assert verdict["selected"].to_pylist() == [False, True, False]
        assert verdict["nn_sim"].to_pylist() == pytest.approx([1.0, None, 1.0])


def test_rows_without_a_direction_are_dropped_with_a_reason():
    vectors = np.array([[1, 0], [0, 0], [np.nan, 1], [0, 1], [2, 2]], np.float32)
    batch = pa.table({"row_id": list("abcde"), "embedding": column(vectors, nulls=[4])})
    verdict = run(SEMDEDUP, batch)
    assert verdict["drop_reason"].to_pylist() == [None, "no_embedding", "no_embedding", None, "no_embedding"]
    nothing = run(SEMDEDUP, batch.slice(1, 2))
    assert nothing["drop_reason"].to_pylist() == ["no_embedding"] * 2


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32()])
@pytest.mark.parametrize("nearest_cells", [1, 2])
def test_neither_memory_nor_order_nor_cut_changes_a_verdict(monkeypatch, kind, nearest_cells):
    vectors = clusters(900).astype(np.float16)
    batch = batch_of(vectors).set_column(1, "embedding", column(vectors, kind, nulls=[5]))
    params = {"eps": EPS, "clusters": 12, "nearest_clusters": nearest_cells}
    usual = run(SEMDEDUP, batch, **params).sort_by("row_id")
    assert usual["drop_reason"].to_pylist().count("semantic_duplicate") > 100
    monkeypatch.setattr(_cells, "HELD", 0)  # through the file
    monkeypatch.setattr(disk, "REGION", 4 * 16 * 50)
    monkeypatch.setattr(repeats, "BLOCK", 33)
    monkeypatch.setattr(repeats, "SMALLEST", 20)
    shuffled = batch.take(np.random.default_rng(3).permutation(900))
    assert run(SEMDEDUP, shuffled, part_rows=7, **params).sort_by("row_id").equals(usual)


def test_pairs_at_the_limit_are_decided_alike_in_every_block(monkeypatch):
    """Every cosine is 0.5 but for rounding, or 1."""
    rng = np.random.default_rng(2)
    corners = np.eye(64, dtype=np.float32)[rng.integers(0, 63, 600)]
    corners[:, 63] = 1
    corners *= rng.uniform(0.1, 9, (600, 1)).astype(np.float32)
    verdicts = []
    for block, span in ((1024, 512), (100, 10)):
        monkeypatch.setattr(repeats, "BLOCK", block)
        monkeypatch.setattr(repeats, "SMALLEST", span)
        verdicts.append(run(SEMDEDUP, batch_of(corners), eps=0.5, clusters=1))
    assert verdicts[0].equals(verdicts[1])


@pytest.mark.parametrize(
    "params", [{"eps": 0}, {"eps": 1.0}, {"clusters": 0}, {"nearest_clusters": 3}, {"keep": "score"}, {"score": "x"}]
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        SEMDEDUP.params(**params)
