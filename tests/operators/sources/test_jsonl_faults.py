"""Every kind of fault in JSON lines is named by record, field and reason, and costs no good record."""

import json

import pytest
from operators.sources.reading import read_all, written

from engine.operators.sources import jsonl
from engine.operators.sources.jsonl import READER

FAULTS = {
    "truncated": (b'{"a": "x", "n"', "", "not JSON: Expecting ':' delimiter at character 15"),
    "no object": (b"[1, 2]", "", "a list, not an object"),
    "a number": (b"12", "", "a number, not an object"),
    "a null": (b"null", "", "null, not an object"),
    "a text": (b'"x"', "", "text, not an object"),
    "trailing text": (b'{"a": "x"} x', "", "not JSON: Extra data at character 12"),
    "two records": (b'{"a": "x"}{"a": "y"}', "", "not JSON: Extra data at character 11"),
    "null between": (b'{"a": "x"}null{"a": "y"}', "", "not JSON: Extra data at character 11"),
    "trailing comma": (b'{"a": "x",}', "", "not JSON: "),
    "two keys": (b'{"a": "x", "a": "x"}', "", "the key 'a' occurs twice in one object"),
    "two keys inside": (b'{"a": "x", "o": {"k": 1, "k": null}}', "", "the key 'k' occurs twice in one object"),
    "not UTF-8": (b'{"a": "caf\xe9"}', "", "not UTF-8: byte 0xe9 at position 11"),
    "raw control": (b'{"a": "x\ty"}', "", "not JSON: Invalid control character at character 9"),
    "carriage return": (b'{"a": "x\ry"}', "", "not JSON: Invalid control character at character 9"),
    "NaN": (b'{"n": NaN}', "n", "NaN, Infinity or a number too large for 64 bits: not JSON"),
    "Infinity": (b'{"o": {"x": -Infinity}}', "o.x", "NaN, Infinity or a number too large for 64 bits: not JSON"),
    "too large": (b'{"n": 1e400}', "n", "NaN, Infinity or a number too large for 64 bits: not JSON"),
    "lone surrogate": (b'{"a": "x\\ud800"}', "a", "a lone surrogate, which UTF-8 can't express"),
    "lone low surrogate": (b'{"a": "x\\udc00"}', "a", "a lone surrogate, which UTF-8 can't express"),
    "surrogate in a key": (b'{"\\ud800": 1}', "\\ud800", "the key holds a lone surrogate, which UTF-8 can't express"),
    "65 bits": (b'{"n": 9223372036854775808}', "n", "an integer beyond 64 bits (write it as text)"),
    "thousands of digits": (b'{"n": ' + b"1" * 5000 + b"}", "", "an integer of thousands of digits"),
    "another kind": (b'{"a": ["x"]}', "a", "a list, where the records before hold text"),
    "an object": (b'{"n": {"x": 1}}', "n", "an object, where the records before hold a number"),
    "true": (b'{"n": true}', "n", "true or false, where the records before hold a number"),
    "a mixed list": (b'{"l": [1, "x"]}', "l[1]", "text, where the records before hold a number"),
    "deep": (b'{"d": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", "", "nested deeper than 100 levels"),
    "rather deep": (b'{"d": ' + b'{"k":' * 101 + b"1" + b"}" * 101 + b"}", "", "nested deeper than 100 levels"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_names_the_fault_and_keeps_the_rest(tmp_path, fault):
    line, field, reason = FAULTS[fault]
    data = b'{"a": "first", "n": 1}\n' + line + b'\n{"a": "last", "n": 3}\n'
    found = read_all(READER, written(tmp_path / "f.jsonl", data))
    ((record, where, why),) = found.faults
    assert (record, where) == (2, field)
    assert why.startswith(reason)
    assert found.bad[0].file == "f.jsonl"
    assert found.bad[0].text == line.decode("utf-8", "backslashreplace")[:2000]
    assert found.rows == [{"a": "first", "n": 1}, {"a": "last", "n": 3}]
    assert found.records == [1, 3]
    assert found.schema.names == ["a", "n"], "a bad record leaves no trace in the columns"


def test_all_faults_of_a_file_and_of_a_record(tmp_path):
    lines = ['{"a": "x", "n": 1}', '{"a": 1, "n": "x"}', "", "oops", '{"a": "y"}', '{"a": NaN}']
    found = read_all(READER, written(tmp_path / "f.jsonl", "\n".join(lines)))
    assert [(record, field) for record, field, _ in found.faults] == [(2, "a"), (2, "n"), (4, ""), (6, "a")]
    assert found.records == [1, 5]


def test_a_cut_file_says_so(tmp_path):
    found = read_all(READER, written(tmp_path / "f.jsonl", '{"a": "x"}\n{"a": "un'))
    (fault,) = found.faults
    assert fault[0] == 2
    assert "the file may be cut off" in fault[2]


def test_faults_far_apart_in_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", 1000)
    lines = [json.dumps({"i": i, "t": "x" * (i % 50)}) for i in range(1, 2001)]
    for i in (1, 777, 778, 2000):
        lines[i - 1] = lines[i - 1][:-1]
    found = read_all(READER, written(tmp_path / "f.jsonl", "\n".join(lines)))
    assert [record for record, _, _ in found.faults] == [1, 777, 778, 2000]
    assert found.records == [i for i in range(1, 2001) if i not in (1, 777, 778, 2000)]
    assert [row["i"] for row in found.rows] == found.records


def test_a_record_over_two_lines_does_not_hide_behind_two_records_on_one(tmp_path):
    """Arrow's parser alone would read three records from three lines here."""
    found = read_all(READER, written(tmp_path / "f.jsonl", '{"a": 1,\n"b": 2}\n{"a": 3}{"a": 4}\n{"a": 5}\n'))
    assert [record for record, _, _ in found.faults] == [1, 2, 3]
    assert found.rows == [{"a": 5}]


def test_an_integer_that_a_float_column_would_round(tmp_path):
    lines = ['{"n": 9007199254740993}', '{"n": 9007199254740992}', '{"n": 0.5}', '{"n": 1e300}']
    found = read_all(READER, written(tmp_path / "f.jsonl", "\n".join(lines)))
    assert found.faults == [(1, "n", "an integer among floats that a float can't hold exactly (write it as text)")]
    assert [row["n"] for row in found.rows] == [9007199254740992.0, 0.5, 1e300]


def test_large_integers_are_exact_where_all_are_integers(tmp_path):
    values = [2**63 - 1, -(2**63), 9007199254740993, 0]
    found = read_all(READER, written(tmp_path / "f.jsonl", "\n".join(f'{{"n": {v}}}' for v in values)))
    assert [row["n"] for row in found.rows] == values
