"""Row ids: what they are, and everything that must not change them."""

import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sourcing.sources import ids, jsonl, read_source

from engine.errors import SetwrightError
from engine.schema import content_digests, digest
from engine.sourcing.ids import Seen

TALKS = [
    {"messages": [{"role": "user", "content": f"q {i % 7}"}, {"role": "assistant", "content": f"a {i % 7}"}], "n": i}
    for i in range(20)
]


def test_an_id_is_the_digest_of_the_content_and_the_occurrence(tmp_path):
    jsonl(tmp_path / "a.jsonl", [{"text": "x"}, {"text": "y"}, {"text": "x"}, {"text": "x"}])
    table, _ = read_source("a.jsonl", tmp_path)
    content = pa.table({"row": pa.array([{"text": "x"}, {"text": "y"}])})
    x, y = content_digests(content, ["row"])
    assert ids(table) == [x, y, digest("again", x, "1"), digest("again", x, "2")]


def test_appending_rows_changes_no_id(tmp_path):
    jsonl(tmp_path / "a.jsonl", TALKS[:15])
    before, _ = read_source("a.jsonl", tmp_path)
    jsonl(tmp_path / "a.jsonl", TALKS)
    after, _ = read_source("a.jsonl", tmp_path)
    assert ids(after)[:15] == ids(before)


def test_appending_rows_with_calls_parts_and_new_columns_changes_no_id(tmp_path):
    jsonl(tmp_path / "a.jsonl", TALKS)
    before, _ = read_source("a.jsonl", tmp_path)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    new = {
        "messages": [{"role": "assistant", "content": None, "tool_calls": [call], "weight": 0.5}],
        "n": 0.5,
        "meta": {"k": []},
        "tools": [{"name": "f"}],
    }
    jsonl(tmp_path / "a.jsonl", [*TALKS, new])
    after, _ = read_source("a.jsonl", tmp_path)
    assert ids(after)[:-1] == ids(before)


def test_raw_rows_keep_their_ids_when_new_columns_come(tmp_path):
    jsonl(tmp_path / "a.jsonl", [{"a": "x", "n": 1}, {"a": "y", "n": 2}])
    before, _ = read_source("a.jsonl", tmp_path)
    jsonl(tmp_path / "a.jsonl", [{"a": "x", "n": 1}, {"a": "y", "n": 2}, {"a": "z", "m": [1]}])
    after, _ = read_source("a.jsonl", tmp_path)
    assert ids(after)[:2] == ids(before)


def test_order_files_parts_and_formats_change_no_id(tmp_path):
    jsonl(tmp_path / "a.jsonl", TALKS)
    table, _ = read_source("a.jsonl", tmp_path)
    expected = sorted(ids(table))
    shuffled = random.Random(3).sample(TALKS, len(TALKS))
    jsonl(tmp_path / "b.jsonl", shuffled)
    assert sorted(ids(read_source("b.jsonl", tmp_path, part_rows=3)[0])) == expected
    folder = tmp_path / "split"
    folder.mkdir()
    (folder / "z.json").write_text(json.dumps(TALKS[:9]))
    pq.write_table(pa.Table.from_pylist(TALKS[9:]), folder / "y.parquet")
    assert sorted(ids(read_source("split/*", tmp_path)[0])) == expected


def test_only_content_counts(tmp_path):
    jsonl(tmp_path / "a.jsonl", TALKS[:7])
    jsonl(tmp_path / "b.jsonl", [{**talk, "n": 0, "score": 1.5, "source": "me"} for talk in TALKS[:7]])
    jsonl(tmp_path / "c.jsonl", [{**talk, "tools": "[]"} for talk in TALKS[:7]])
    first, second, third = (ids(read_source(f"{name}.jsonl", tmp_path)[0]) for name in "abc")
    assert first == second
    assert not set(first) & set(third), "other tools make another row"


def test_the_layout_is_not_the_content(tmp_path):
    rows = [{"instruction": "q", "output": "a"}]
    talk = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    jsonl(tmp_path / "a.jsonl", rows)
    jsonl(tmp_path / "b.jsonl", [{"conversations": talk}])
    jsonl(tmp_path / "c.jsonl", [{"prompt": "q", "completion": "a"}])
    (tmp_path / "d.csv").write_text("instruction,output\nq,a\n")
    assert (
        len(
            {read_source(name, tmp_path)[0]["row_id"][0].as_py() for name in ("a.jsonl", "b.jsonl", "c.jsonl", "d.csv")}
        )
        == 1
    )


def test_a_bad_record_takes_no_occurrence(tmp_path):
    good, bad = {"prompt": "q", "completion": "a"}, {"prompt": "q", "completion": None}
    jsonl(tmp_path / "a.jsonl", [good, good])
    jsonl(tmp_path / "b.jsonl", [bad, good, bad, "oops", good])
    assert ids(read_source("a.jsonl", tmp_path)[0]) == ids(read_source("b.jsonl", tmp_path, on_bad="skip")[0])


def test_a_source_may_bring_its_own_ids(tmp_path):
    rows = [
        {"row_id": "r1", "parent_id": "p", "text": "x"},
        {"row_id": "r2", "text": "x"},
        {"row_id": "r1", "text": "y"},
        {"row_id": None, "text": "z"},
        {"text": "z"},
        {"row_id": "", "text": "z"},
    ]
    jsonl(tmp_path / "a.jsonl", rows)
    table, rejects = read_source("a.jsonl", tmp_path, on_bad="skip", part_rows=1)
    assert table.to_pylist() == [
        {"row_id": "r1", "parent_id": "p", "text": "x"},
        {"row_id": "r2", "parent_id": None, "text": "x"},
        {"row_id": "", "parent_id": None, "text": "z"},
    ]
    missing = "null, where a source's own row_id must name every row"
    assert [(r["record"], r["field"], r["reason"]) for r in rejects] == [
        (3, "row_id", "'r1' names an earlier row already"), (4, "row_id", missing), (5, "row_id", missing),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["row_id", "parent_id"])
def test_own_ids_must_be_text(tmp_path, name):
    jsonl(tmp_path / "a.jsonl", [{name: 7, "text": "x"}])
    with pytest.raises(SetwrightError, match=f"the source's column {name} is int64") as raised:
        read_source("a.jsonl", tmp_path)
    assert raised.value.cure == "rename the column"


def test_own_ids_round_trip_through_a_written_table(tmp_path):
    jsonl(tmp_path / "a.jsonl", TALKS)
    table, _ = read_source("a.jsonl", tmp_path)
    pq.write_table(table, tmp_path / "b.parquet")
    assert read_source("b.parquet", tmp_path)[0].to_pylist() == table.to_pylist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "", "\0", "ab"]), max_size=12), max_size=8))
def test_seen_counts_like_a_dictionary(parts):
    keys = [digest(key) for part in parts for key in part]
    seen = Seen()
    counted = [seen.count([digest(key) for key in part]) for part in parts]
    assert [int(n) for part in counted for n in part] == [keys[:i].count(key) for i, key in enumerate(keys)]


def test_seen_tells_digests_apart_that_end_in_zeros():
    """The 12 bytes are held as a numpy string, which hides zeros at the end."""
    keys = ["00" * 12, "01" + "00" * 11, "0100" + "00" * 9 + "01", "01" + "00" * 11, "00" * 12]
    assert Seen().count(keys).tolist() == [0, 0, 0, 1, 1]


def test_seen_holds_many_in_little_memory():
    rng = np.random.default_rng(1)
    seen = Seen()
    for _ in range(20):
        raw = rng.bytes(12 * 5000)
        assert not seen.count([raw[i : i + 12].hex() for i in range(0, len(raw), 12)]).any()
    assert sum(run.nbytes for run in seen._runs) == 12 * 100_000
    assert len(seen._runs) < 8
