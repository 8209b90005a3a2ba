from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operators.fakes import run, table
from project import Project
from pydantic import ValidationError

from engine.errors import SetwrightError
from engine.registry import operator

STRATIFIED = operator("select", "stratified")


def kept_of(batch, **params):
    """The ids of the kept rows in the order of pick, and the reasons of the others by their ids."""
    verdict = run(STRATIFIED, batch, by="x", **params)
    kept = verdict.filter(verdict["selected"]).sort_by("select_rank")["row_id"].to_pylist()
    dropped = verdict.filter(pa.compute.invert(verdict["selected"]))
    return kept, dict(zip(dropped["row_id"].to_pylist(), dropped["drop_reason"].to_pylist(), strict=True))


def counted(batch, **params):
    of = dict(zip(batch["row_id"].to_pylist(), batch["by"].to_pylist(), strict=True))
    return Counter(of[row] for row in kept_of(batch, **params)[0])


TEN = table(by=[*"aaaaaabbb", None], score=[6.0, 5, 4, 3, 2, 1, 9, 8, 7, 0])


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"budget": 5}, {"a": 3, "b": 2}),  # 3, 1.5, 0.5: of equal remainders the first
        ({"budget": 5, "alpha": 0.0}, {"a": 2, "b": 2, None: 1}),  # 2 each, of which null has one
        ({"budget": 8, "alpha": 0.0}, {"a": 4, "b": 3, None: 1}),
        ({"budget": 6, "alpha": 0.5}, {"a": 3, "b": 2, None: 1}),  # 2.45, 1.73, 1 of 5.18: 2.84, 2.01, 1.16
        ({"budget": 5, "min_rows": 1}, {"a": 3, "b": 1, None: 1}),  # 1 held for null, 4 over 6 : 3 = 2.67 and 1.33
        ({"budget": 9, "max_rows": 2}, {"a": 2, "b": 2, None: 1}),
        ({"budget": 4, "shares": {"a": 0.25, "b": 0.75}}, {"a": 1, "b": 3}),
        ({"budget": 6, "shares": {"a": 0.2, "b": 0.8}}, {"a": 3, "b": 3}),  # b has no more than 3
        ({"share": 0.5}, {"a": 3, "b": 2}),
        ({"budget": 99}, {"a": 6, "b": 3, None: 1}),
    ],
)
def test_quotas_by_hand(params, expected):
    assert counted(TEN, score="x", **params) == expected


def test_the_best_of_each_stratum_in_step_with_its_quota():
    kept, dropped = kept_of(TEN, budget=5, score="x")
    assert kept == ["r0", "r6", "r1", "r7", "r2"]  # turns of a at 1/6, 3/6, 5/6 and of b at 1/4, 3/4
    assert dropped == dict.fromkeys(["r3", "r4", "r5", "r8", "r9"], "stratum_quota")


def test_the_first_rows_are_a_stratified_sample_themselves():
    batch = table(by=["a"] * 600 + ["b"] * 300 + ["c"] * 100)
    kept, _ = kept_of(batch, budget=100)
    of = np.array([batch["by"][int(row[1:])].as_py() for row in kept])
    for name, share in (("a", 0.6), ("b", 0.3), ("c", 0.1)):
        seen = np.cumsum(of == name)
        assert np.abs(seen - share * np.arange(1, 101)).max() <= 1


def test_a_stratum_without_a_share_is_said_to_have_none():
    kept, dropped = kept_of(TEN, budget=2, shares={"b": 1.0}, score="x")
    assert kept == ["r6", "r7"]
    assert dropped == {f"r{i}": "no_share" for i in (0, 1, 2, 3, 4, 5, 9)} | {"r8": "stratum_quota"}


def test_rows_without_a_score_count_in_no_stratum():
    batch = table(by=list("aaaabb"), score=[None, float("nan"), None, 1.0, 2.0, 3.0])
    kept, dropped = kept_of(batch, budget=3, score="x")
    assert kept == ["r5", "r3", "r4"]
    assert dropped == dict.fromkeys(["r0", "r1", "r2"], "no_score")
    assert counted(batch, budget=1, score="x") == {"b": 1}  # 1 : 2, not 4 : 2


@pytest.mark.parametrize(
    ("values", "shares"),
    [
        (pa.array([True, False, None]), {"true": 0.5, "false": 0.5}),
        (pa.array([3, 20, None]), {"3": 0.5, "20": 0.5}),
        (pa.array(["x", "y", None]).dictionary_encode(), {"x": 0.5, "y": 0.5}),
        (pa.array([1.5, 2.0, None]), {"1.5": 0.5, "2": 0.5}),
        (pa.array([0, 1, None], pa.date32()), {"1970-01-01": 0.5, "1970-01-02": 0.5}),
    ],
)
def test_any_value_that_groups(values, shares):
    assert kept_of(table(by=values), budget=3, alpha=0.0)[1] == {}
    kept, dropped = kept_of(table(by=values), budget=2, shares=shares)
    assert sorted(kept) == ["r0", "r1"]
    assert dropped == {"r2": "no_share"}


def test_equal_remainders_go_in_the_order_of_values_not_of_texts():
    assert counted(table(by=[20, 3, None]), budget=1) == {3: 1}


def test_signed_zeros_are_one_stratum_and_so_is_nan():
    nan = float("nan")
    batch = table(by=pa.array([0.0, -0.0, nan, nan], from_pandas=False), score=[1, 2, 3, 4])
    assert kept_of(batch, budget=2, score="x")[0] == ["r1", "r3"]


values = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.none() | st.integers(0, 5)), max_size=30)


@given(rows=values, budget=st.integers(1, 35), alpha=st.sampled_from([0.0, 0.5, 1.0]), seed=st.integers(0, 9))
def test_equals_the_best_of_each_stratum_in_any_order_of_rows(rows, budget, alpha, seed):
    by, scores = [b for b, _ in rows], [s for _, s in rows]
    batch = table(by=pa.array(by, pa.string()), score=pa.array(scores, pa.int64()))
    kept, dropped = kept_of(batch, budget=budget, alpha=alpha, score="x")
    shuffled = batch.take(np.random.default_rng(seed).permutation(len(rows)))
    assert kept_of(shuffled, budget=budget, alpha=alpha, score="x") == (kept, dropped)
    scored = [i for i, s in enumerate(scores) if s is not None]
    assert len(kept) == min(budget, len(scored))
    for name in set(by):
        best = sorted((i for i in scored if by[i] == name), key=lambda i: (-scores[i], f"r{i}"))
        mine = [row for row in kept if by[int(row[1:])] == name]
        assert mine == [f"r{i}" for i in best[: len(mine)]]


def test_without_a_score_the_seed_draws():
    batch = table(by=["a", "b"] * 500)
    one, other = (run(STRATIFIED, batch, seed=seed, by="x", budget=100)["selected"].to_numpy() for seed in (17, 18))
    assert one[::2].sum() == one[1::2].sum() == 50
    assert 0 < (one & other).sum() < 25  # 10 of independent draws, and more than four deviations
    ranks = run(STRATIFIED, batch, by="x", budget=100)["select_rank"].drop_null().to_pylist()
    assert ranks != sorted(ranks)


def test_a_table_without_rows():
    empty = table(by=pa.array([], pa.string()))
    assert kept_of(empty, budget=3) == ([], {})
    assert kept_of(empty, budget=3, shares={"a": 1.0}) == ([], {})


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"budget": 3, "share": 0.5},
        {"budget": 0},
        {"budget": 3, "alpha": 1.5},
        {"budget": 3, "shares": {"a": 0.5, "b": 0.4}},
        {"budget": 3, "shares": {"a": 1.0}, "alpha": 1.0},
        {"budget": 3, "shares": {}},
        {"budget": 3, "shares": {"a": 1.0, "b": 0.0}},
        {"budget": 3, "min_rows": 3, "max_rows": 2},
    ],
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        STRATIFIED.params(by="x", **params)


def test_what_the_rows_contradict():
    with pytest.raises(SetwrightError, match=r"'mathe', which no row has in `by` .did you mean 'maths'"):
        run(STRATIFIED, table(by=["maths", "code"]), by="x", budget=2, shares={"mathe": 0.5, "code": 0.5})
    with pytest.raises(SetwrightError, match="3 groups of at least 2 need 5, and the budget is 4"):
        run(STRATIFIED, TEN, by="x", budget=4, min_rows=2)
    with pytest.raises(SetwrightError, match=r"by is of type list<.*>, which can't group rows"):
        run(STRATIFIED, table(by=[[1], [2]]), by="x", budget=2)


def test_in_a_spec(tmp_path):
    project = Project(tmp_path).data([{"text": str(i), "lang": "de" if i % 4 == 0 else None} for i in range(40)])
    project.spec(
        "tables:\n"
        "  pool: {source: data.jsonl}\n"
        "  few: {select: stratified, from: pool, params: {by: lang, alpha: 0, budget: 12, score: text::INT}}\n"
    )
    project.build()
    kept = project.sql("SELECT lang, text::INT AS n FROM few ORDER BY n DESC")
    assert [n for lang, n in kept if lang] == [36, 32, 28, 24, 20, 16]
    assert [n for lang, n in kept if not lang] == [39, 38, 37, 35, 34, 33]
    assert all(a > b for (_, a), (_, b) in pairwise(kept))
