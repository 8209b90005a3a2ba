"""Reading a source end to end: parts, one schema, bad records, limits."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sourcing.sources import ids, jsonl, read_source

from engine import sourcing
from engine.errors import BadRecordsError, SetwrightError
from engine.operators.sources import jsonl as jsonl_format
from engine.schema import MESSAGES

ALPACA = [{"instruction": f"do {i}", "input": "", "output": f"done {i}"} for i in range(10)]


@pytest.mark.parametrize(("part_rows", "sizes"), [(4, [4, 4, 2]), (5, [5, 5]), (10, [10]), (100, [10]), (1, [1] * 10)])
def test_parts_have_the_size_asked_for(tmp_path, part_rows, sizes):
    jsonl(tmp_path / "a.jsonl", ALPACA)
    source = sourcing.resolve("a.jsonl", tmp_path)
    parts = list(sourcing.read(source, sourcing.SourceParams(), part_rows=part_rows))
    assert [len(part.table) for part in parts] == sizes
    rows = [row for part in parts for row in part.table.to_pylist()]
    assert [row["instruction"] for row in rows] == [row["instruction"] for row in ALPACA]
    assert all(row["parent_id"] is None for row in rows)


def test_parts_do_not_depend_on_blocks(tmp_path, monkeypatch):
    rows = [*ALPACA[:3], "oops", *ALPACA[3:], {"instruction": None, "output": "x"}, ALPACA[0]]
    jsonl(tmp_path / "a.jsonl", rows)
    whole = read_source("a.jsonl", tmp_path, part_rows=4, on_bad="skip")
    monkeypatch.setattr(jsonl_format, "BLOCK_BYTES", 30)
    table, rejects = read_source("a.jsonl", tmp_path, part_rows=4, on_bad="skip")
    assert table.equals(whole[0])
    assert rejects == whole[1]


def test_columns_of_the_whole_source_in_every_part(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl_format, "BLOCK_BYTES", 20)
    jsonl(tmp_path / "a.jsonl", [{"n": 1}, {"n": 2.5}, {"n": None, "t": "x"}])
    jsonl(tmp_path / "b.jsonl", [{"n": 3, "l": [{"x": 1}]}])
    pq.write_table(pa.table({"n": pa.array([4], pa.int32()), "u": ["y"]}), tmp_path / "c.parquet")
    table, _ = read_source("*.*", tmp_path, part_rows=1)
    assert table.drop_columns(["row_id", "parent_id"]).to_pylist() == [
        {"n": 1.0, "t": None, "l": None, "u": None},
        {"n": 2.5, "t": None, "l": None, "u": None},
        {"n": None, "t": "x", "l": None, "u": None},
        {"n": 3.0, "t": None, "l": [{"x": 1}], "u": None},
        {"n": 4.0, "t": None, "l": None, "u": "y"},
    ]


def test_bad_records_are_all_reported_after_the_end(tmp_path):
    rows = [*ALPACA[:2], "oops", {"instruction": None, "output": "x"}, *ALPACA[2:], {"instruction": "a", "output": 7}]
    jsonl(tmp_path / "b.jsonl", rows)
    jsonl(tmp_path / "a.jsonl", [ALPACA[0], "[1]"])
    source, params = sourcing.resolve("*.jsonl", tmp_path), sourcing.SourceParams()
    reading = sourcing.read(source, params, part_rows=4)
    given = []
    with pytest.raises(BadRecordsError) as raised:
        given.extend(reading)
    assert [str(record) for record in raised.value.records] == [
        "a.jsonl:2: a list, not an object",
        "b.jsonl:3: not JSON: Expecting value at character 1",
        "b.jsonl:4: instruction: missing or null",
        "b.jsonl:13: output: a number, where the records before hold text",
    ]
    assert "on_bad: skip" in (raised.value.cure or "")


def test_skipping_keeps_the_good_and_lists_the_bad(tmp_path):
    rows = [ALPACA[0], "oops" * 1000, {"instruction": None, "output": "é"}, ALPACA[1]]
    jsonl(tmp_path / "a.jsonl", rows)
    table, rejects = read_source("a.jsonl", tmp_path, on_bad="skip")
    assert table["instruction"].to_pylist() == ["do 0", "do 1"]
    assert rejects == [
        {
            "file": "a.jsonl", "record": 2, "field": "", "reason": "not JSON: Expecting value at character 1",
            "text": "oops" * 500,
        },
        {
            "file": "a.jsonl", "record": 3, "field": "instruction", "reason": "missing or null",
            "text": '{"instruction": null, "input": null, "output": "é"}',
        },
    ]  # fmt: skip


def test_rejects_come_with_their_part(tmp_path):
    jsonl(tmp_path / "a.jsonl", [*ALPACA[:2], "x", *ALPACA[2:4], "y"])
    source = sourcing.resolve("a.jsonl", tmp_path)
    parts = list(sourcing.read(source, sourcing.SourceParams(on_bad="skip"), part_rows=2))
    assert sum(len(part.rejects) for part in parts) == 2
    jsonl(tmp_path / "b.jsonl", [{"instruction": None, "output": "x"}] * 3)
    table, rejects = read_source("b.jsonl", tmp_path, on_bad="skip", shape=None)
    assert (len(table), len(rejects)) == (3, 0), "an instruction that is never text is no alpaca: raw"


def test_a_source_whose_rows_are_all_rejected_gives_one_empty_part(tmp_path):
    jsonl(tmp_path / "a.jsonl", [{"text": "x"}])
    jsonl(tmp_path / "b.jsonl", [{"text": None, "id": 1}] * 3)
    pq.write_table(pa.table({"text": pa.array([None], pa.string())}), tmp_path / "c.parquet")
    table, rejects = read_source("c.parquet", tmp_path, on_bad="skip")
    assert (len(table), [(r["record"], r["field"]) for r in rejects]) == (0, [(1, "text")])
    assert table.schema.names == ["row_id", "parent_id", "text"]


@pytest.mark.parametrize(("data", "bad"), [("", 0), ("\n \n", 0), ("oops\n[1]\n", 2)])
def test_a_source_without_a_good_record_is_an_error(tmp_path, data, bad):
    (tmp_path / "a.jsonl").write_text(data)
    with pytest.raises(SetwrightError, match=rf"a\.jsonl holds no record that can be read \({bad} bad\)"):
        read_source("a.jsonl", tmp_path, on_bad="skip")
    with pytest.raises(BadRecordsError if bad else SetwrightError):
        read_source("a.jsonl", tmp_path)


def test_a_table_without_rows_has_its_columns(tmp_path):
    pq.write_table(
        pa.table({"instruction": pa.array([], pa.string()), "output": pa.array([], pa.string())}),
        tmp_path / "a.parquet",
    )
    table, rejects = read_source("a.parquet", tmp_path)
    assert (len(table), rejects) == (0, [])
    assert table.schema.field("messages").type == MESSAGES


@pytest.mark.parametrize("limit", [0, 1, 7, 10, 11])
def test_limit(tmp_path, limit):
    jsonl(tmp_path / "a.jsonl", ALPACA[:6])
    jsonl(tmp_path / "b.jsonl", ALPACA[6:])
    whole, _ = read_source("*.jsonl", tmp_path, part_rows=3)
    some, _ = read_source("*.jsonl", tmp_path, part_rows=3, limit=limit)
    assert some.to_pylist() == whole.slice(0, limit).to_pylist()
    assert some.schema == whole.schema


@pytest.mark.parametrize("block_bytes", [30, 1 << 20])
def test_bad_records_after_the_limit_do_not_count(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(jsonl_format, "BLOCK_BYTES", block_bytes)
    jsonl(tmp_path / "a.jsonl", [*ALPACA[:3], "oops", *ALPACA[3:]])
    assert len(read_source("a.jsonl", tmp_path, limit=3)[0]) == 3
    assert len(read_source("a.jsonl", tmp_path, limit=0)[0]) == 0
    with pytest.raises(BadRecordsError):
        read_source("a.jsonl", tmp_path, limit=4)


def test_peek_gives_the_columns_of_read(tmp_path, monkeypatch):
    jsonl(tmp_path / "a.jsonl", [*ALPACA, {"instruction": "x", "output": "y", "score": 1}])
    source, params = sourcing.resolve("a.jsonl", tmp_path), sourcing.SourceParams()
    table, _ = read_source("a.jsonl", tmp_path)
    assert sourcing.peek(source, params) == pa.schema(list(table.schema)[2:])
    monkeypatch.setattr(jsonl_format, "BLOCK_BYTES", 30)
    assert sourcing.peek(source, params).names == ["instruction", "input", "output", "messages", "response"]
    assert "score" in sourcing.peek(source, params, complete=True).names


def test_a_named_shape_that_is_not_there(tmp_path):
    jsonl(tmp_path / "a.jsonl", [{"question": "q", "n": 1}])
    with pytest.raises(SetwrightError) as raised:
        read_source("a.jsonl", tmp_path, shape="alpaca")
    assert raised.value.message == (
        "a.jsonl hasn't the shape alpaca, which needs text columns instruction and output; "
        "it has question: string, n: int64"
    )
    assert "raw" in (raised.value.cure or "")


def test_raw_leaves_columns_untouched(tmp_path):
    jsonl(tmp_path / "a.jsonl", [{"instruction": "a", "output": None, "messages": [{"role": "x", "content": "y"}]}])
    table, _ = read_source("a.jsonl", tmp_path, shape="raw")
    assert table.column_names == ["row_id", "parent_id", "instruction", "output", "messages"]


def test_objects_without_keys_are_text(tmp_path):
    rows = [
        {"meta": {}, "l": [{"x": {}}, None], "messages": [{"role": "user", "content": "a", "m": {}}]},
        {"meta": None},
    ]
    jsonl(tmp_path / "a.jsonl", rows)
    table, rejects = read_source("a.jsonl", tmp_path, on_bad="skip")
    (row,) = table.to_pylist()
    assert (row["meta"], row["l"]) == ("{}", [{"x": "{}"}, None])
    assert row["messages"] == [{"role": "user", "content": "a", "m": "{}"}]
    assert [(r["record"], r["field"]) for r in rejects] == [(2, "messages")]
    pq.write_table(table, tmp_path / "out.parquet")


def test_json_lines_under_a_json_name(tmp_path):
    jsonl(tmp_path / "a.json", ALPACA)
    table, _ = read_source("a.json", tmp_path, format="jsonl")
    assert len(table) == 10
    with pytest.raises(SetwrightError, match="more than one value"):
        read_source("a.json", tmp_path)


def test_as_json(tmp_path):
    jsonl(
        tmp_path / "a.jsonl", [{"text": "a", "meta": {"k": 1}}, {"text": "b", "meta": ["x"]}, {"text": "c", "meta": 3}]
    )
    _, rejects = read_source("a.jsonl", tmp_path, on_bad="skip")
    assert [(r["record"], r["field"]) for r in rejects] == [(2, "meta"), (3, "meta")]
    table, rejects = read_source("a.jsonl", tmp_path, as_json=["meta"])
    assert [json.loads(text) for text in table["meta"].to_pylist()] == [{"k": 1}, ["x"], 3]
    assert rejects == []


def test_count(tmp_path):
    jsonl(tmp_path / "a.jsonl", ALPACA)
    pq.write_table(pa.table({"text": ["x"] * 7}), tmp_path / "b.parquet")
    assert sourcing.count(sourcing.resolve("*.*", tmp_path)) == 17
    (tmp_path / "c.csv").write_text("text\nx\n")
    assert sourcing.count(sourcing.resolve("*.*", tmp_path)) is None


def test_ids_are_unique_over_files(tmp_path):
    jsonl(tmp_path / "a.jsonl", ALPACA)
    jsonl(tmp_path / "b.jsonl", ALPACA)
    table, _ = read_source("*.jsonl", tmp_path, part_rows=3)
    assert len(set(ids(table))) == 20
