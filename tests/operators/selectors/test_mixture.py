import re
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operators.fakes import run, table
from project import Project
from pydantic import ValidationError

from engine.errors import SetwrightError
from engine.operators.selectors.mixture import first_fit
from engine.registry import operator

MIXTURE = operator("select", "mixture")
HALVES = {"code": 0.5, "web": 0.5}


def kept_of(batch, **params):
    """The ids of the kept rows in the order of pick, and the reasons of the others by their ids."""
    verdict = run(MIXTURE, batch, by="x", **params)
    kept = verdict.filter(verdict["selected"]).sort_by("select_rank")["row_id"].to_pylist()
    dropped = verdict.filter(pa.compute.invert(verdict["selected"]))
    return kept, dict(zip(dropped["row_id"].to_pylist(), dropped["drop_reason"].to_pylist(), strict=True))


def counted(batch, **params):
    of = dict(zip(batch["row_id"].to_pylist(), batch["by"].to_pylist(), strict=True))
    return dict(Counter(of[row] for row in kept_of(batch, **params)[0]))


TABLE = table(by=["web"] * 60 + ["code"] * 30 + ["maths"] * 10)
SHARES = {"web": 0.5, "code": 0.25, "maths": 0.25}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"budget": 40}, {"web": 20, "code": 10, "maths": 10}),
        ({"budget": 10}, {"web": 5, "code": 3, "maths": 2}),  # of equal remainders the first by name
        ({"budget": 80, "short": "keep_short"}, {"web": 40, "code": 20, "maths": 10}),
        ({"budget": 79, "short": "give_to_others"}, {"web": 46, "code": 23, "maths": 10}),  # 69 over 2 : 1
        ({"budget": 99, "short": "give_to_others"}, {"web": 59, "code": 30, "maths": 10}),  # 89: 59.33 and 29.67
        ({"budget": 999, "short": "give_to_others"}, {"web": 60, "code": 30, "maths": 10}),
        ({"budget": 40, "max_rows": {"web": 8}, "short": "keep_short"}, {"web": 8, "code": 10, "maths": 10}),
        ({"budget": 40, "max_rows": {"web": 8}, "short": "give_to_others"}, {"web": 8, "code": 22, "maths": 10}),
        (
            {"budget": 60, "max_share": {"web": 0.6}, "max_rows": {"maths": 0}, "short": "give_to_others"},
            {"web": 36, "code": 24},  # 40 and 20 over 2 : 1, of which web may have 36
        ),
    ],
)
def test_rows_by_hand(params, expected):
    assert counted(TABLE, shares=SHARES, **params) == expected


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"budget": 80}, "maths has 10 of 20 rows$"),
        ({"budget": 200}, "code has 30 of 50 rows; maths has 10 of 50 rows; web has 60 of 100 rows"),
        ({"budget": 40, "max_rows": {"web": 8}}, "web has 8 of 20 rows"),
    ],
)
def test_a_source_that_runs_out_is_an_error_unless_it_is_said_what_to_do(params, message):
    with pytest.raises(SetwrightError) as error:
        kept_of(TABLE, shares=SHARES, **params)
    assert re.search(message, error.value.message)
    assert "give_to_others" in error.value.cure


def test_a_source_without_rows_is_short_like_any_other():
    with pytest.raises(SetwrightError, match="wbe has 0 of 20 rows"):
        kept_of(TABLE, shares={"wbe": 0.5, "code": 0.5}, budget=40)
    assert counted(TABLE, shares={"wbe": 0.5, "code": 0.5}, budget=40, short="keep_short") == {"code": 20}
    assert kept_of(TABLE.slice(0, 0), shares=SHARES, budget=40, short="keep_short") == ([], {})


def test_the_order_of_shares_in_the_spec_has_no_meaning():
    turned = dict(reversed(SHARES.items()))
    assert kept_of(TABLE, shares=SHARES, budget=10) == kept_of(TABLE, shares=turned, budget=10)


SIZED = table(
    by=["web"] * 5 + ["code"] * 5, size=[40, 30, 50, 10, 5, 60, 60, 30, 20, 20], score=[9, 8, 7, 6, 5, 9, 8, 7, 6, 5]
)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"tokens": 200}, ["r0", "r1", "r3", "r4", "r5", "r7"]),  # web 40 30 (50) 10 5; code 60 (60) 30 (20) (20)
        ({"tokens": 270}, ["r0", "r1", "r2", "r3", "r4", "r5", "r6"]),  # 135 each: all of web, 120 of code
        ({"tokens": 270, "max_rows": {"web": 2}, "short": "keep_short"}, ["r0", "r1", "r5", "r6"]),
        (
            {"tokens": 270, "max_rows": {"web": 2}, "short": "give_to_others"},
            ["r0", "r1", "r5", "r6", "r7", "r8", "r9"],  # 70 of web, and of the 200 of code all 190
        ),
        ({"tokens": 325, "short": "give_to_others"}, [f"r{i}" for i in range(10)]),
    ],
)
def test_tokens_by_hand(params, expected):
    kept, dropped = kept_of(SIZED, shares=HALVES, size="x", score="x", **params)
    assert sorted(kept) == expected
    capped = set(params.get("max_rows", {})) and {"r2", "r3", "r4"}
    assert {row for row, reason in dropped.items() if reason == "source_cap"} == (capped or set())
    assert set(dropped.values()) <= {"source_cap", "source_quota"}


def test_short_sources_are_counted_in_tokens():
    with pytest.raises(SetwrightError, match="web has 135 of 150 tokens"):
        kept_of(SIZED, shares=HALVES, size="x", score="x", tokens=300)


def by_turns(sizes, room):
    taken = []
    for size in sizes:
        taken.append(size <= room)
        room -= size if taken[-1] else 0
    return taken


@given(sizes=st.lists(st.integers(0, 40), max_size=60), room=st.integers(0, 300))
def test_first_fit_equals_looking_at_one_row_after_the_other(sizes, room):
    assert first_fit(np.array(sizes, np.int64), room).tolist() == by_turns(sizes, room)


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d", None]), st.integers(-1, 30), st.none() | st.integers(0, 4)),
    max_size=40,
)


@given(rows=ROWS, tokens=st.integers(1, 300), seed=st.integers(0, 5))
def test_tokens_are_never_exceeded_and_what_is_left_behind_does_not_fit(rows, tokens, seed):
    by, sizes, scores = zip(*rows, strict=True) if rows else [()] * 3
    batch = table(by=pa.array(by, pa.string()), size=pa.array(sizes, pa.int32()), score=pa.array(scores, pa.float64()))
    params = {"shares": {"a": 0.5, "b": 0.3, "c": 0.2}, "tokens": tokens, "size": "x", "score": "x"}
    for short in ("keep_short", "give_to_others"):
        kept, dropped = kept_of(batch, short=short, **params)
        shuffled = batch.take(np.random.default_rng(seed).permutation(len(rows)))
        assert kept_of(shuffled, short=short, **params) == (kept, dropped)
        used, expected = defaultdict(int), {}
        for row in kept:
            used[by[int(row[1:])]] += sizes[int(row[1:])]
        assert sum(used.values()) <= tokens
        for i, (source, size, score) in enumerate(rows):
            if source not in params["shares"]:
                expected[f"r{i}"] = "no_source" if source is None else "not_in_mixture"
            elif size < 0 or score is None:
                expected[f"r{i}"] = "no_size" if size < 0 else "no_score"
            elif f"r{i}" not in kept:
                expected[f"r{i}"] = "source_quota"
                assert used[source] + size > int(tokens * params["shares"][source])
        assert dropped == expected


def test_the_mixture_is_near_its_tokens_where_rows_are_small():
    rng = np.random.default_rng(0)
    sizes = rng.integers(20, 2000, 30_000)
    source = rng.choice(["web", "code"], 30_000)
    kept, _ = kept_of(table(by=source, size=sizes), shares={"web": 0.7, "code": 0.3}, tokens=10_000_000, size="x")
    rows = np.array([int(row[1:]) for row in kept])
    for name, quota in (("web", 7_000_000), ("code", 3_000_000)):
        assert quota - 20 < sizes[rows[source[rows] == name]].sum() <= quota


def test_a_beginning_of_the_mixture_is_mixed_alike():
    kept, _ = kept_of(TABLE, shares=SHARES, budget=40)
    source = np.array([TABLE["by"][int(row[1:])].as_py() for row in kept])
    for name, share in SHARES.items():
        assert np.abs(np.cumsum(source == name) - share * np.arange(1, 41)).max() <= 1


@pytest.mark.parametrize(
    "sizes",
    [
        pa.array([10.0, 20.0, float("nan"), None], from_pandas=False),
        pa.array([10, 20, -1, None]),
        pa.array([10, 20, None, None]).cast(pa.decimal128(38, 0)),
    ],
)
def test_sizes_of_any_kind_that_are_whole(sizes):
    kept, dropped = kept_of(table(by=["web"] * 4, size=sizes), shares={"web": 1.0}, tokens=30, size="x")
    assert sorted(kept) == ["r0", "r1"]
    assert dropped == {"r2": "no_size", "r3": "no_size"}


@pytest.mark.parametrize("sizes", [[10.5, 20.0], ["many", "few"], [[1], [2]], [float("inf"), 1.0]])
def test_sizes_that_are_no_whole_numbers(sizes):
    with pytest.raises(SetwrightError, match="gives no whole numbers of tokens"):
        kept_of(table(by=["web"] * 2, size=sizes), shares={"web": 1.0}, tokens=30, size="x")


@pytest.mark.parametrize(
    "params",
    [
        {"shares": HALVES},
        {"shares": HALVES, "budget": 3, "tokens": 3, "size": "x"},
        {"shares": HALVES, "tokens": 3},
        {"shares": HALVES, "budget": 3, "size": "x"},
        {"shares": {}, "budget": 3},
        {"shares": {"a": 0.5, "b": 0.6}, "budget": 3},
        {"shares": {"a": 1.0, "b": 0.0}, "budget": 3},
        {"shares": HALVES, "budget": 3, "max_rows": {"wbe": 3}},
        {"shares": HALVES, "budget": 3, "max_share": {"web": 0.4}},
        {"shares": HALVES, "budget": 3, "short": "repeat"},
    ],
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        MIXTURE.params(by="x", **params)


def test_in_a_spec_with_a_source_that_is_seen_twice(tmp_path):
    rows = [{"text": f"row {i}", "kind": "code" if i % 5 == 0 else "web", "n": i % 7 + 1} for i in range(100)]
    project = Project(tmp_path).data(rows)
    project.spec(
        "tables:\n"
        "  pool: {source: data.jsonl}\n"
        "  repeated: {sql: \"SELECT * EXCLUDE (row_id) FROM pool, range(2) WHERE kind = 'code' OR range = 0\"}\n"
        "  mixed:\n"
        "    select: mixture\n"
        "    from: repeated\n"
        "    params: {by: kind, shares: {code: 0.5, web: 0.5}, tokens: 200, size: n, short: keep_short}\n"
    )
    project.build()
    tokens = dict(project.sql("SELECT kind, sum(n)::INT FROM mixed GROUP BY 1"))
    everything = sum(row["n"] for row in rows if row["kind"] == "code")
    assert tokens == {"code": min(2 * everything, 100), "web": 100}
    assert project.sql("SELECT count(*) - count(DISTINCT row_id) FROM repeated") == [(0,)]
