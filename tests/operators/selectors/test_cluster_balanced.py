from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run
from project import Project
from pydantic import ValidationError

from engine.errors import SetwrightError
from engine.registry import operator
from engine.vectors.cells import assign, kmeans

CLUSTER_BALANCED = operator("select", "cluster_balanced")
DIM = 6
SIZES = (40, 20, 8, 4)
CLUSTER = np.repeat(np.arange(4), SIZES)


def vectors_of(matrix, kind=None):
    kind = kind or pa.float32()
    flat = pa.array(np.asarray(matrix, np.float32).reshape(-1)).cast(kind)
    return pa.FixedSizeListArray.from_arrays(flat, np.shape(matrix)[1])


def pool(seed=5, **columns):
    """Rows about four axes, tight enough that k-means can't but find them; of any length."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(DIM)[CLUSTER] + 0.05 * rng.standard_normal((len(CLUSTER), DIM))
    matrix *= rng.uniform(0.2, 5, (len(CLUSTER), 1))
    ids = [f"r{i:02}" for i in range(len(CLUSTER))]
    return matrix, pa.table({"row_id": ids, "embedding": vectors_of(matrix), **columns})


def kept_of(batch, part_rows=1000, **params):
    """Positions of the kept rows in the order of pick, and the reasons of the others by their positions."""
    found = run(CLUSTER_BALANCED, batch, part_rows=part_rows, **params)
    numbers = np.array([int(row[1:]) for row in found["row_id"].to_pylist()])
    selected = found["selected"].to_numpy()
    ranks = found.filter(found["selected"])["select_rank"].to_numpy()
    reasons = zip(numbers[~selected].tolist(), found.filter(~selected)["drop_reason"].to_pylist(), strict=True)
    return numbers[selected][np.argsort(ranks)].tolist(), dict(sorted(reasons))


SCORE = np.random.default_rng(9).integers(0, 12, len(CLUSTER)).astype(float)  # with ties


def best(cluster, k):
    rows = np.flatnonzero(cluster == CLUSTER)
    return rows[np.lexsort((rows, -SCORE[rows]))][:k].tolist()


@pytest.mark.parametrize(
    ("params", "quota"),
    [
        ({"budget": 16}, (4, 4, 4, 4)),
        ({"budget": 24}, (7, 7, 6, 4)),  # 4 is all there is; 20 over three
        ({"budget": 18, "alpha": 1.0}, (10, 5, 2, 1)),
        ({"budget": 18, "alpha": 0.5}, (7, 5, 3, 3)),  # 6.32 : 4.47 : 2.83 : 2 of 15.62 = 7.29, 5.15, 3.26, 2.30
        ({"budget": 18, "alpha": 1.0, "min_rows": 3}, (8, 4, 3, 3)),  # 12 over 40 : 20
        ({"budget": 40, "max_rows": 9}, (9, 9, 8, 4)),
        ({"share": 0.25, "alpha": 1.0}, (10, 5, 2, 1)),
        ({"budget": 999}, SIZES),
    ],
)
def test_quotas_by_hand_and_the_best_of_each_cluster(params, quota):
    _, batch = pool(score=SCORE, by=CLUSTER)
    kept, dropped = kept_of(batch, by="x", score="x", **params)
    assert [[row for row in kept if CLUSTER[row] == c] for c in range(4)] == [best(c, k) for c, k in enumerate(quota)]
    assert set(dropped.values()) <= {"cluster_quota"}
    turns = np.concatenate([(np.arange(k) + 0.5) / k for k in quota])
    of = np.repeat(np.arange(4), quota)
    assert CLUSTER[kept].tolist() == of[np.lexsort((of, turns))].tolist()


def test_the_nearest_to_the_centroid():
    matrix, batch = pool(by=CLUSTER)
    kept, _ = kept_of(batch, by="x", order="nearest", budget=16)
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    for c in range(4):
        rows = np.flatnonzero(c == CLUSTER)
        nearest = rows[np.argsort(-(unit[rows] @ unit[rows].sum(axis=0)))]
        assert [row for row in kept if CLUSTER[row] == c] == nearest[:4].tolist()


@pytest.mark.parametrize("params", [{"order": "score", "score": "x"}, {"order": "nearest"}, {"order": "random"}])
def test_clusters_that_are_found_are_those_of_k_means(params):
    rng = np.random.default_rng(4)
    matrix = rng.standard_normal((400, DIM))
    columns = {"row_id": [f"r{i:03}" for i in range(400)], "embedding": vectors_of(matrix)}
    batch = pa.table({**columns, **({"score": rng.integers(0, 50, 400)} if "score" in params else {})})
    unit = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    centroids = kmeans(unit, 9, seed=17)
    cell, cosine = assign(unit, centroids)
    assert len(set(np.bincount(cell).tolist())) > 4
    if params["order"] == "nearest":  # here k-means' own centroids count, which are those of its last step
        params, batch = {"order": "score", "score": "x"}, batch.append_column("score", pa.array(cosine))
        found = kept_of(batch.drop_columns("score"), clusters=9, order="nearest", budget=70)
    else:
        found = kept_of(batch, clusters=9, budget=70, **params)
    assert found == kept_of(batch.append_column("by", pa.array(cell)), by="x", budget=70, **params)


@pytest.mark.parametrize("params", [{"clusters": 3}, {"clusters": 1}, {"clusters": 500}, {"by": "x"}])
@pytest.mark.parametrize("order", ["score", "nearest", "random"])
def test_neither_order_nor_cut_matter(params, order):
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((300, 5)).round(1)
    matrix[100:150] = matrix[:50]  # the same vectors again
    ids = [f"r{i:03}" for i in rng.permutation(300)]
    batch = pa.table(
        {
            "row_id": ids,
            "embedding": vectors_of(matrix),
            "score": rng.integers(0, 9, 300),
            "by": rng.integers(0, 7, 300),
        }
    )
    batch = batch.drop_columns([name for name in ("by", "score") if name not in (*params, order)])
    params = {**params, "order": order, "budget": 60, **({"score": "x"} if order == "score" else {})}
    expected = kept_of(batch, **params)
    assert len(expected[0]) == 60
    for part_rows in (7, 128):
        assert kept_of(batch.take(rng.permutation(300)), part_rows, **params) == expected


def test_rows_that_can_not_be_placed():
    matrix, _ = pool()
    matrix[0], matrix[1, 2], matrix[2, 0] = 0, np.nan, np.inf
    ids = [f"r{i:02}" for i in range(len(CLUSTER))]
    lists = pa.FixedSizeListArray.from_arrays(
        pa.array(matrix.reshape(-1), pa.float32()), DIM, mask=pa.array(np.arange(len(CLUSTER)) == 3)
    )
    score = pa.array(SCORE, mask=np.isin(np.arange(len(CLUSTER)), [4, 5]))
    batch = pa.table({"row_id": ids, "embedding": lists, "score": score})
    kept, dropped = kept_of(batch, clusters=4, score="x", budget=999)
    assert dropped == {0: "no_embedding", 1: "no_embedding", 2: "no_embedding", 3: "no_embedding"} | {
        4: "no_score", 5: "no_score",
    }  # fmt: skip
    assert len(kept) == len(CLUSTER) - 6
    by = pa.array(CLUSTER, mask=np.arange(len(CLUSTER)) == 6)
    _, dropped = kept_of(batch.drop_columns("score").append_column("by", by), by="x", order="nearest", budget=999)
    assert dropped == {0: "no_embedding", 1: "no_embedding", 2: "no_embedding", 3: "no_embedding", 6: "no_cluster"}


def test_given_clusters_need_no_embedding():
    assert CLUSTER_BALANCED.reads_of(CLUSTER_BALANCED.params(by="x", order="random", budget=1)) == {}
    _, batch = pool(by=CLUSTER)
    kept, _ = kept_of(batch.drop_columns("embedding"), by="x", order="random", budget=20)
    assert Counter(CLUSTER[kept].tolist()) == {0: 6, 1: 5, 2: 5, 3: 4}


def test_half_precision_finds_the_same_clusters():
    matrix, batch = pool(score=SCORE)
    half = batch.set_column(1, "embedding", vectors_of(matrix, pa.float16()))
    assert kept_of(half, clusters=4, score="x", budget=16) == kept_of(batch, clusters=4, score="x", budget=16)


def test_rows_that_cancel_each_other_out_go_by_id():
    batch = pa.table({"row_id": ["r1", "r0"], "embedding": vectors_of([[1.0, 0], [-1, 0]]), "by": ["a", "a"]})
    assert kept_of(batch, by="x", order="nearest", budget=1) == ([0], {1: "cluster_quota"})


@pytest.mark.parametrize("params", [{"clusters": 4}, {"by": "x"}])
def test_nothing_to_choose_from(params):
    _, batch = pool(by=CLUSTER)
    batch = batch if "by" in params else batch.drop_columns("by")
    assert kept_of(batch.slice(0, 0), order="nearest", budget=5, **params) == ([], {})
    blank = batch.slice(0, 3).set_column(1, "embedding", vectors_of(np.zeros((3, DIM))))
    assert kept_of(blank, order="nearest", budget=5, **params) == ([], dict.fromkeys(range(3), "no_embedding"))


@pytest.mark.parametrize(
    "params",
    [
        {"budget": 3, "score": "x"},
        {"budget": 3, "score": "x", "clusters": 4, "by": "x"},
        {"budget": 3, "clusters": 4},
        {"budget": 3, "clusters": 4, "score": "x", "order": "random"},
        {"budget": 3, "share": 0.1, "clusters": 4, "score": "x"},
        {"budget": 3, "clusters": 4, "score": "x", "min_rows": 2, "max_rows": 1},
        {"budget": 3, "clusters": 4, "score": "x", "alpha": -0.1},
    ],
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        CLUSTER_BALANCED.params(**params)


def test_minima_that_the_budget_does_not_meet():
    _, batch = pool(score=SCORE)
    with pytest.raises(SetwrightError, match="4 groups of at least 3 need 12, and the budget is 10"):
        kept_of(batch, clusters=4, score="x", budget=10, min_rows=3)


def test_in_a_spec(tmp_path):
    texts = [f"{word * 9} {i}" for i in range(12) for word in (["red ", "blue "] if i < 4 else ["red "])]
    project = Project(tmp_path).data([{"text": text} for text in texts])
    project.spec(
        "models:\n  embedder: {use: hashing, params: {dim: 64}}\n"
        "tables:\n"
        "  pool: {source: data.jsonl, scores: [{score: embedding, model: embedder}]}\n"
        "  few: {select: cluster_balanced, from: pool, params: {clusters: 2, budget: 8, order: nearest}}\n"
        "  given: {select: cluster_balanced, from: pool, params: {by: 'text[1]', budget: 6, score: length(text)}}\n"
    )
    project.build()
    for name, rows in (("few", 4), ("given", 3)):
        assert project.sql(f"SELECT text[1], count(*) FROM {name} GROUP BY 1 ORDER BY 1") == [("b", rows), ("r", rows)]
