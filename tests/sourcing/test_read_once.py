"""JSON lines parsed once: the same parts as by two passes, or the word that the first records didn't show all."""

import pytest
from sourcing.sources import jsonl

from engine import sourcing
from engine.operators.sources import jsonl as jsonl_format

FIRST = {"n": 1, "x": 1.5, "t": "text", "nothing": None, "list": [], "object": {"a": None}, "b": True}
WIDER = [
    {"n": 2.5},
    {"nothing": "now"},
    {"nothing": []},
    {"list": [1]},
    {"list": [["text"]]},
    {"object": {"a": 1}},
    {"object": {"b": None}},
    {"new": 1},
    {"new": None},
]
FITTING = [
    {"n": None},
    {"x": 2},
    {"t": "2026-11-24T00:00:00"},
    {},
    {"object": None},
    {"t": 5},  # a bad record
    {"b": 1},  # another
    "oops",
]


def _read(tmp_path, *, once):
    source = sourcing.resolve("*.jsonl", tmp_path)
    params = sourcing.SourceParams(on_bad="skip", shape="raw")
    read = sourcing.read_once if once else sourcing.read
    return list(read(source, params, part_rows=3))


@pytest.fixture(autouse=True)
def _one_record_a_block(monkeypatch):
    monkeypatch.setattr(jsonl_format, "BLOCK_BYTES", 20)


@pytest.mark.parametrize("record", WIDER, ids=str)
def test_a_record_that_widens_the_columns_is_noticed(tmp_path, record):
    jsonl(tmp_path / "a.jsonl", [FIRST] * 5)
    jsonl(tmp_path / "b.jsonl", [FIRST, record, FIRST])
    with pytest.raises(sourcing.Widened):
        _read(tmp_path, once=True)


def test_the_same_parts_and_rejects_as_by_two_passes(tmp_path):
    jsonl(tmp_path / "a.jsonl", [FIRST, *FITTING, FIRST])
    jsonl(tmp_path / "b.jsonl", [*FITTING, {**FIRST, "list": ["text"]}])
    once, twice = _read(tmp_path, once=True), _read(tmp_path, once=False)
    assert [part.rejects.num_rows for part in once] == [part.rejects.num_rows for part in twice]
    assert sum(part.rejects.num_rows for part in once) == 6
    for one, other in zip(once, twice, strict=True):
        assert one.table.equals(other.table)
        assert one.table.schema.equals(other.table.schema)
        assert one.rejects.equals(other.rejects)
