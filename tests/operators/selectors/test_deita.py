from functools import cache

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from operators.fakes import run
from pydantic import ValidationError

from engine.operators import _cells
from engine.registry import operator
from engine.vectors import apart, disk
from engine.vectors.disk import MemoryTape
from engine.vectors.unit import CLOSE

DEITA = operator("select", "deita")
LIMIT = 0.9


def column(vectors, kind=None):
    """A fixed-size list column in uneven chunks, so that a row's chunk has to be found."""
    kind = kind or pa.list_(pa.float32(), vectors.shape[1])
    cuts = np.split(np.asarray(vectors), sorted([1, len(vectors) // 3, len(vectors) // 2]))
    flat = [pa.array(cut.reshape(-1)).cast(kind.value_type) for cut in cuts]
    return pa.chunked_array([pa.FixedSizeListArray.from_arrays(values, type=kind) for values in flat])


def batch_of(vectors, scores, ids=None):
    ids = ids if ids is not None else [f"r{i:05}" for i in range(len(scores))]
    return pa.table({"row_id": pa.array(ids, pa.string()), "embedding": vectors, "score": scores})


@cache
def clusters(n=5000, dim=32, seed=11):
    """Rows around power-law sized clusters, some pairs of one cluster above the limit and some below it."""
    rng = np.random.default_rng(seed)
    sizes = 1 / np.arange(1, n // 4 + 1)
    centres = rng.standard_normal((len(sizes), dim))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    noise = rng.standard_normal((n, dim))
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    near = rng.uniform(0.92, 0.99, (n, 1))
    vectors = centres[rng.choice(len(sizes), n, p=sizes / sizes.sum())] * near + noise * np.sqrt(1 - near**2)
    vectors *= rng.uniform(0.1, 9, (n, 1))  # of any length
    scores = rng.integers(0, n // 5, n).astype(np.float64)  # with many equal ones
    return vectors.astype(np.float32), scores


def unit(vectors):
    wide = vectors.astype(np.float64)
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


def one_by_one(vectors, order, budget, limit=LIMIT):
    """The sequential rule: picks, what was looked at, and for each row the pick that its verdict names."""
    rows = unit(vectors)
    picks, looked_at, named = [], [], {}
    for i in order:
        if len(picks) == budget:
            break
        looked_at.append(i)
        cosines = rows[picks] @ rows[i]
        above = np.flatnonzero(cosines > limit)
        if len(above):
            named[i] = picks[above[0]]
            continue
        if picks:
            named[i] = picks[cosines.argmax()]
        picks.append(i)
    return picks, looked_at, named


@pytest.mark.parametrize("block", [1, 7, 512, 5000])
@pytest.mark.parametrize("budget", [300, 10**6])  # full after 300 picks, and never
def test_equals_the_sequential_rule_whatever_the_block(monkeypatch, block, budget):
    monkeypatch.setattr(apart, "BLOCK", block)
    vectors, scores = clusters()
    ids = np.array([f"r{i:05}" for i in np.random.default_rng(0).permutation(len(scores))])
    order = np.lexsort((ids, -scores))
    picks, looked_at, named = one_by_one(vectors, order, budget)
    verdict = run(DEITA, batch_of(column(vectors), scores, ids), budget=budget)

    rank = np.full(len(scores), -1)
    rank[picks] = np.arange(len(picks))
    assert verdict["select_rank"].fill_null(-1).to_pylist() == rank.tolist()
    seen = set(looked_at)
    assert verdict["drop_reason"].to_pylist() == [
        None if rank[i] >= 0 else "near_duplicate" if i in seen else "budget" for i in range(len(scores))
    ]
    assert verdict["nn_id"].to_pylist() == [ids[named[i]] if i in named else None for i in range(len(scores))]
    rows = unit(vectors)
    cosines = [float(rows[i] @ rows[named[i]]) if i in named else None for i in range(len(scores))]
    assert verdict["nn_sim"].to_pylist() == pytest.approx(cosines, abs=1e-6)


def upstream(vectors, scores, budget, threshold=LIMIT):
    """The filter of hkust-nlp/deita at its default batch size of one row, in its own terms."""
    order = np.argsort(-scores, kind="stable")
    data = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    kept = [order[0]]
    for i in order[1:]:
        if len(kept) >= budget:
            break
        if not (data[kept] @ data[i]).max() > threshold:
            kept.append(i)
    return kept


@pytest.mark.parametrize("budget", [250, 2000])
def test_keeps_the_same_rows_as_the_published_filter(budget):
    vectors, _ = clusters(2000, 24, seed=5)
    scores = np.random.default_rng(1).permutation(2000) / 100.0
    rows = unit(vectors)
    assert np.abs(rows @ rows.T - LIMIT).min() > 1e-7  # no pair is so close to the limit that rounding decides
    verdict = run(DEITA, batch_of(column(vectors), scores), budget=budget)
    kept = np.flatnonzero(verdict["selected"].to_numpy())
    assert kept.tolist() == sorted(upstream(vectors, scores, budget))


def test_what_is_kept_differs_and_what_is_dropped_has_a_better_double():
    vectors, scores = clusters(seed=3)
    verdict = run(DEITA, batch_of(column(vectors), scores), budget=10**6).to_pandas()
    rows = unit(vectors)
    kept = np.flatnonzero(verdict.selected)
    assert np.tril(rows[kept] @ rows[kept].T, -1).max() <= LIMIT + 1e-6
    number = {row_id: i for i, row_id in enumerate(verdict.row_id)}
    for i in np.flatnonzero(verdict.drop_reason == "near_duplicate"):
        double = number[verdict.nn_id[i]]
        assert verdict.selected[double]
        assert (-scores[double], double) < (-scores[i], i)
        assert rows[double] @ rows[i] > LIMIT


def test_rows_that_can_not_be_judged_have_reasons_of_their_own():
    embeddings = [[1, 0], None, [0, 0], [0, 1], [float("nan"), 1], [1, 1], [-1, 0], [1, None], None]
    scores = [1.0, 9.0, 9.0, None, 9.0, float("nan"), 0.5, 9.0, None]
    table = batch_of(pa.array(embeddings, pa.list_(pa.float32(), 2)), pa.array(scores, pa.float64(), from_pandas=False))
    verdict = run(DEITA, table, budget=5)
    assert verdict["drop_reason"].to_pylist() == [
        None, "no_embedding", "no_embedding", "no_score", "no_embedding", "no_score", None, "no_embedding", "no_score",
    ]  # fmt: skip
    assert verdict["select_rank"].to_pylist()[::6] == [0, 1]
    assert verdict["nn_id"].to_pylist() == [None] * 6 + ["r00000", None, None]
    assert verdict["nn_sim"].to_pylist() == [None] * 6 + [-1.0, None, None]


def test_a_row_of_equal_score_with_the_lower_id_goes_first():
    vectors = np.array([[1, 0], [1, 0.01], [0, 1]], np.float32)
    verdict = run(DEITA, batch_of(column(vectors), [1.0, 1.0, 1.0], ["b", "a", "c"]), budget=3)
    assert verdict.select(["select_rank", "drop_reason", "nn_id"]).to_pylist() == [
        {"select_rank": None, "drop_reason": "near_duplicate", "nn_id": "a"},
        {"select_rank": 0, "drop_reason": None, "nn_id": None},
        {"select_rank": 1, "drop_reason": None, "nn_id": "a"},
    ]


def test_a_conversation_counts_the_sum_over_its_turns():
    turns = "FROM (VALUES ('one', [4], [5]), ('two', [2, 3], [4, 5])) AS talks(row_id, complexity, quality)"
    scores = duckdb.sql(f"SELECT list_dot_product(complexity::DOUBLE[], quality::DOUBLE[]) AS score {turns}")
    score = scores.to_arrow_table()["score"]
    assert score.to_pylist() == [20, 23]
    verdict = run(DEITA, batch_of(column(np.eye(2)), score, ["one", "two"]), budget=1)
    assert verdict["drop_reason"].to_pylist() == ["budget", None]


def test_nothing_is_more_similar_than_one():
    same = np.ones((3000, 7), np.float32) / np.linspace(1, 3, 3000, dtype=np.float32)[:, None]
    verdict = run(DEITA, batch_of(column(same), np.arange(3000.0)), budget=10**6, max_similarity=1.0)
    assert verdict["selected"].to_pylist() == [True] * 3000
    assert verdict["nn_sim"].drop_null().to_pylist() == pytest.approx([1.0] * 2999)


def test_pairs_at_the_limit_are_decided_alike_in_every_block(monkeypatch):
    """Every cosine is 0.5 but for rounding, or 1."""
    rng = np.random.default_rng(2)
    corners = np.eye(64, dtype=np.float32)[rng.integers(0, 63, 2000)]
    corners[:, 63] = 1
    corners *= rng.uniform(0.1, 9, (2000, 1)).astype(np.float32)
    picks = set()
    for block in (1, 100, 2000):
        monkeypatch.setattr(apart, "BLOCK", block)
        walk = apart.greedy(MemoryTape(column(corners), np.arange(2000)), 10**6, 0.5)
        picks.add(tuple(walk.picks.tolist()))
    assert len(picks) == 1


@pytest.mark.parametrize(("kind", "places"), [(pa.float16(), 1e-3), (pa.float64(), 1e-6)])
def test_other_widths_of_numbers(kind, places):
    vectors = clusters(500, 16)[0].astype(np.float16).astype(np.float32)
    scores = np.arange(500.0)
    narrow = run(DEITA, batch_of(column(vectors), scores), budget=99)
    other = run(DEITA, batch_of(column(vectors, pa.list_(kind, 16)), scores), budget=99)
    assert other.equals(narrow)


@pytest.mark.parametrize("n", [0, 1])
def test_small_tables(n):
    vectors = pa.chunked_array([pa.array([[1.0, 2.0]] * n, pa.list_(pa.float32(), 2))])
    verdict = run(DEITA, batch_of(vectors, pa.array([1.0] * n, pa.float64())), budget=3)
    assert verdict["selected"].to_pylist() == [True] * n


def loop(near):
    kept = []
    for i in range(len(near)):
        if not any(near[i, j] for j in kept):
            kept.append(i)
    return kept


@given(arrays.arrays(bool, st.integers(0, 12).map(lambda n: (n, n))))
def test_first_come_equals_a_loop(near):
    near = np.tril(near, -1)
    assert np.flatnonzero(apart.first_come(near)).tolist() == loop(near)


def test_first_come_settles_a_chain():
    assert np.flatnonzero(apart.first_come(np.eye(301, k=-1, dtype=bool))).tolist() == list(range(0, 301, 2))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"budget": 0},
        {"budget": 5, "max_similarity": 0},
        {"budget": 5, "max_similarity": 1.1},
        {"budget": 5, "distance": 0.1},
    ],
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        DEITA.params(**params)


def test_similarities_as_good_as_exact():
    """The assumption behind CLOSE: float32 products of unit vectors, however cut, are this near to exact ones."""
    rng = np.random.default_rng(4)
    rows = unit(rng.standard_normal((64, 4096)) + 1).astype(np.float32)
    exact = rows.astype(np.float64) @ rows.T.astype(np.float64)
    for step in (1, 7, 64):
        for start in range(0, 64, step):
            assert np.abs(rows[start : start + step] @ rows.T - exact[start : start + step]).max() < CLOSE / 2


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32()])
@pytest.mark.parametrize("budget", [100, 10**6])
def test_what_does_not_fit_in_memory_is_walked_from_a_file(monkeypatch, kind, budget):
    vectors, scores = clusters(2000, 16, seed=8)
    vectors[[3, 700]] = 0
    embeddings = column(vectors.astype(np.float16), pa.list_(kind, 16))
    table = batch_of(embeddings, pa.array(scores, mask=np.arange(2000) == 9))
    usual = run(DEITA, table, budget=budget)
    monkeypatch.setattr(_cells, "HELD", 0)
    monkeypatch.setattr(disk, "REGION", 4 * 16 * 300)
    assert run(DEITA, table, budget=budget, part_rows=77).equals(usual)
    assert usual["drop_reason"].to_pylist().count("near_duplicate") > 50
