"""A JSON file: an array or one object, with the rules of JSON lines and faults named by element."""

import gzip
import json

import pytest
from operators.sources.reading import SHARED, read_all, written

from engine.errors import SetwrightError
from engine.operators.sources import json as json_format
from engine.operators.sources.json import READER

ROWS = [{"a": "x\u2028y", "n": 1}, {"a": "2020-01-01", "n": 2}, {"a": None, "n": 3}]


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_array(tmp_path, indent, ascii_only):
    data = json.dumps(ROWS, indent=indent, ensure_ascii=ascii_only)
    found = read_all(READER, written(tmp_path / "f.json", data))
    assert (found.rows, found.records, found.bad) == (ROWS, [1, 2, 3], [])


def test_carriage_returns_and_a_byte_order_mark(tmp_path):
    data = "\ufeff\r\n" + json.dumps(ROWS, indent=1, ensure_ascii=False).replace("\n", "\r\n") + "\r\n"
    assert read_all(READER, written(tmp_path / "f.json", data)).rows == ROWS


def test_single_object(tmp_path):
    found = read_all(READER, written(tmp_path / "f.json", json.dumps({"a": {"b": [1]}}, indent=2) + "\n"))
    assert (found.rows, found.records) == ([{"a": {"b": [1]}}], [1])


@pytest.mark.parametrize("data", ["[]", " [ ] \n"])
def test_empty_array(tmp_path, data):
    found = read_all(READER, written(tmp_path / "f.json", data))
    assert (found.rows, found.bad) == ([], [])


def test_blocks_do_not_show(tmp_path, monkeypatch):
    path = written(tmp_path / "f.json", json.dumps([{"i": i, "l": [i]} for i in range(100)] + [7, {"i": "x"}]))
    whole = read_all(READER, path)
    monkeypatch.setattr(json_format, "BLOCK_BYTES", 50)
    assert read_all(READER, path) == whole
    assert whole.records == list(range(1, 101))
    assert [(record, field) for record, field, _ in whole.faults] == [(101, ""), (102, "i")]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b'[{"a": 1}, {"a": NaN}, {"a": 3}]', (2, "a", "NaN, Infinity or")),
        (b'[{"a": 1}, {"a": 1, "a": 1}, {"a": 3}]', (2, "", "the key 'a' occurs twice")),
        (b'[{"a": 1}, {"b": "\xff"}, {"a": 3}]', (2, "", "not UTF-8: byte 0xff")),
        (b'[{"a": 1}, {"b": "\\ud800"}, {"a": 3}]', (2, "b", "a lone surrogate")),
        (b'[{"a": 1}, {"a": ' + b"1" * 5000 + b'}, {"a": 3}]', (2, "", "an integer of thousands of digits")),
        (b'[{"a": 1}, [1], {"a": 3}]', (2, "", "a list, not an object")),
        (b'[{"a": 1}, null, {"a": 3}]', (2, "", "null, not an object")),
    ],
)
def test_a_bad_element_costs_no_other(tmp_path, data, fault):
    found = read_all(READER, written(tmp_path / "f.json", data))
    ((record, field, reason),) = found.faults
    assert (record, field) == fault[:2]
    assert reason.startswith(fault[2])
    assert (found.rows, found.records) == ([{"a": 1}, {"a": 3}], [1, 3])


@pytest.mark.parametrize(
    ("data", "record", "reason", "rows"),
    [
        ('[{"a": 1}, {"a": 2', 2, "not JSON: Expecting ',' delimiter at line 1, column 19", 1),
        ('[{"a": 1}, {"a": 2}', 3, "expected ',' or ']' before this element", 2),
        ('[{"a": 1},\n{"a": tru}, {"a": 3}]', 2, "not JSON: Expecting value at line 2, column 7", 1),
        ('[{"a": 1}, ]', 2, "not JSON: Expecting value at line 1, column 12", 1),
        ('[{"a": 1}] x', 2, "text after the end of the array", 1),
        ('[{"a": 1} {"a": 2}]', 2, "expected ',' or ']' before this element", 1),
        ("oops", 1, "not JSON: Expecting value at line 1, column 1", 0),
        ("", 1, "not JSON: Expecting value at line 1, column 1", 0),
        ('[{"a": 1}, {"a": ' + "[" * 100_000, 2, "nested too deeply", 1),
    ],
)
def test_a_broken_array_ends_with_its_last_bad_record(tmp_path, data, record, reason, rows):
    found = read_all(READER, written(tmp_path / "f.json", data))
    ((at, _, why),) = found.faults
    assert at == record
    assert why == f"{reason}; no element from here on can be told apart"
    assert len(found.rows) == rows


def test_json_lines_under_another_name(tmp_path):
    with pytest.raises(SetwrightError) as raised:
        read_all(READER, written(tmp_path / "f.json", '{"a": 1}\n{"a": 2}\n'))
    assert raised.value.cure == "if it holds JSON lines, set format: jsonl"


@pytest.mark.parametrize("name", ["dpo_en_demo.json.gz", "fastchat_dummy_conversation.json.gz"])
def test_published_files_equal_the_standard_library(name):
    path = SHARED / "raw" / name
    if not path.exists():
        pytest.skip("the shared data is not here")
    with gzip.open(path, "rt", encoding="utf-8") as f:
        expected = json.load(f)
    assert read_all(READER, path).rows == expected
