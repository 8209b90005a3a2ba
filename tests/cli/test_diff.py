"""`diff`: figures worked out by hand on objects made by hand, then the command on real builds."""

import math

import numpy as np
import pyarrow as pa
import pytest
from story import STORY, run, shell, tell

from engine.errors import StoreError
from engine.explore.diff import Summary, diff, versions
from engine.relation import Relation
from engine.schema import VERDICT
from engine.store import Manifest, Store


def put(store, fingerprint, *parts):
    """An object of these parts."""
    for i, part in enumerate(parts):
        store.write_part(fingerprint, i, part)
    store.complete(Manifest(fingerprint, {"inputs": {}}, tuple(p.num_rows for p in parts), {}, {}))


def rows(ids, texts, numbers):
    messages = [
        None if t is None else [{"role": "user", "content": "hi"}, {"role": "assistant", "content": t}] for t in texts
    ]
    return pa.table(
        {
            "row_id": ids,
            "parent_id": pa.nulls(len(ids), pa.string()),
            "text": texts,
            "messages": pa.array(messages, pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
            "n": pa.array(numbers, pa.float64()),
        }
    )


def vectors(ids, *values):
    flat = pa.array(np.array(values, np.float32).reshape(-1))
    return pa.table({"row_id": ids, "embedding": pa.FixedSizeListArray.from_arrays(flat, 2)})


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    put(store, "a", rows(["r1", "r2"], ["one", "twos"], [1.0, 2.0]), rows(["r3", "r4"], ["three", None], [3.0, 4.0]))
    put(store, "a-vec", vectors(["r1", "r2"], [1, 0], [0, 1]), vectors(["r3", "r4"], [1, 1], [0, 0]))
    put(store, "b", rows(["r2", "r3", "r4", "r5"], ["twos", "threes", None, "five"], [2.0, 3.0, math.nan, None]))
    put(store, "b-vec", vectors(["r2", "r3", "r4", "r5"], [0, 1], [1, 1], [0, 0.5], [1, 0]))
    return store


A, B = Relation("a", (("t.vec", "a-vec"),)), Relation("b", (("t.vec", "b-vec"),))


def test_rows_added_removed_and_changed(store):
    found = diff(store, A, B)
    assert (found.rows_before, found.rows_after) == (4, 4)
    assert (found.added.rows, found.added.examples) == (1, ("r5",))
    assert (found.removed.rows, found.removed.examples) == (1, ("r1",))
    assert (found.changed.rows, found.changed.examples) == (2, ("r3", "r4"))
    assert found.changed_columns == {"text": 1, "messages": 1, "n": 1, "embedding": 1}


def test_drift_counts_finite_values_only(store):
    drifts = {d.column: d for d in diff(store, A, B).drifts}
    n = drifts["n"]
    # 1, 2, 3, 4: sd = sqrt(5 / 3), p5 = 1 + 0.05 * 3, p95 = 1 + 0.95 * 3; then 2, 3 beside a NaN and a null
    assert n.before == Summary(4, 2.5, pytest.approx(math.sqrt(5 / 3)), pytest.approx(1.15), 2.5, pytest.approx(3.85))
    assert n.after == Summary(2, 2.5, pytest.approx(math.sqrt(0.5)), pytest.approx(2.05), 2.5, pytest.approx(2.95))
    assert (drifts["text"].unit, drifts["text"].before.n, drifts["text"].before.mean) == ("characters", 3, 4.0)
    assert drifts["text"].after.mean == pytest.approx((4 + 6 + 4) / 3)
    assert drifts["messages"].before.mean == 4.0 + 2  # "hi" stands before each
    assert "row_id" not in drifts
    assert "embedding" not in drifts


def test_columns_that_came_went_or_changed_their_type(store):
    put(
        store,
        "c",
        pa.table(
            {
                "row_id": ["r1"],
                "parent_id": pa.nulls(1, pa.string()),
                "text": ["one"],
                "n": pa.array([1], pa.int64()),
                "new": [0.5],
            }
        ),
    )
    found = diff(store, A, Relation("c"))
    assert found.new_columns == ("new",)
    assert found.gone_columns == ("messages", "embedding")
    assert found.retyped_columns == {"n": ("double", "int64")}
    assert found.changed.rows == 0, "a value isn't compared across types"
    new = next(d for d in found.drifts if d.column == "new")
    assert (new.before.n, new.after) == (0, Summary(1, 0.5, None, 0.5, 0.5, 0.5))


def test_a_selection_compares_ranks_and_the_rows_it_selects(store):
    def verdict(name, ranks):
        columns = [
            ["r1", "r2"],
            [r is not None for r in ranks],
            ranks,
            [None if r is not None else "budget" for r in ranks],
        ]
        table = pa.table(
            [pa.array(c, f.type) for c, f in zip([*columns, [None] * 2, [None] * 2], VERDICT, strict=True)],
            schema=VERDICT,
        )
        rest = pa.table([pa.array([None, None], f.type) for f in VERDICT], names=VERDICT.names)
        rest = rest.set_column(0, "row_id", pa.array(["r3", "r4"])).set_column(1, "selected", pa.array([False, False]))
        put(store, name, table, rest.cast(pa.schema([f.with_nullable(True) for f in VERDICT])))
        return Relation(name, (), A)

    found = diff(store, verdict("v1", [0, 1]), verdict("v2", [None, 0]))
    assert (found.removed.examples, found.added.rows) == (("r1",), 0)
    assert found.changed_columns == {"select_rank": 1}


def test_an_empty_table_and_the_same_twice(store):
    put(store, "none", rows([], [], []))
    found = diff(store, A, Relation("none"))
    assert (found.removed.rows, found.rows_after, found.gone_columns) == (4, 0, ("embedding",))
    assert len(diff(store, Relation("none"), Relation("a")).added.examples) == 4
    same = diff(store, A, A)
    assert (same.added.rows, same.removed.rows, same.changed.rows, same.changed_columns) == (0, 0, 0, {})


def test_objects_that_were_cleaned_are_an_error_that_names_them(store):
    store.remove("b-vec")
    with pytest.raises(StoreError, match=r"no longer holds b-vec"):
        diff(store, A, B)
    assert versions(store, "trial", "t") == [], "nothing was ever recorded"


@pytest.fixture(scope="session")
def changed(tmp_path_factory):
    """Three builds: the budget goes from 2 to 3, then nothing changes."""
    story = tell(tmp_path_factory.mktemp("changed"))
    story.build()
    story.spec(STORY.replace("budget: 2", "budget: 3"))
    story.build()
    story.build()
    return story


def test_the_last_two_builds_that_differ_are_compared(changed):
    builds = [b for (b,) in changed.sql("SELECT DISTINCT build FROM builds ORDER BY build")]
    found = run("diff", changed.file, "curated", "--home", changed.home, "--json").json
    assert (found["a"], found["b"]) == (builds[0], builds[2])
    assert (found["rows_before"], found["rows_after"]) == (2, 3)
    assert found["added"] == {"rows": 1, "examples": [changed.answer("winter")]}
    same = run("diff", changed.file, "curated", "previous", "last", "--home", changed.home, "--json").json
    assert (same["a"], same["b"], same["added"]["rows"]) == (builds[1], builds[2], 0)
    by_number = run("diff", changed.file, "curated", "-3", "-2", "--home", changed.home, "--json").json
    by_prefix = run("diff", changed.file, "curated", builds[0], builds[1][:-1], "--home", changed.home, "--json").json
    assert by_number == by_prefix
    assert (by_number["a"], by_number["b"]) == (builds[0], builds[1])


def test_text_and_markdown(changed):
    text = run("diff", changed.file, "curated", "--home", changed.home).out
    assert f"added    1  {changed.answer('winter')}" in text
    markdown = run("diff", changed.file, "curated", "--markdown", "--home", changed.home).out
    assert f"| added | 1 | {changed.answer('winter')} |" in markdown
    assert "| answer_n_words | before | 2 | 10 |" in markdown  # 11 and 9 words


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["curted"], "no build of trial made a table 'curted' (did you mean 'curated'?)"),
        (["questions"], "the table is the same in all 3 builds that made it"),
        (["curated", "-4"], "there is no build -4 of the table"),
        (["curated", "1999"], "no build of the table begins with '1999'"),
        (["curated", "2"], "several builds begin with '2'"),
        (["curated", "last", "last", "last"], "two builds at most"),
        (["curated", "--jsn"], "No such option"),
    ],
)
def test_what_can_not_be_compared(changed, args, said):
    outcome = run("diff", changed.file, *args, "--home", changed.home)
    assert outcome.code == 2
    assert said in outcome.err


def test_in_a_process_of_its_own(changed):
    outcome = shell("diff", changed.file, "curated", "--home", changed.home)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("curated: 2")
