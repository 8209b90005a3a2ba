"""What a JSONL file without faults gives: lines, types, blocks, compression."""

import gzip
import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operators.sources.reading import SHARED, read_all, written

from engine.errors import SetwrightError
from engine.operators.sources import _lines, jsonl
from engine.operators.sources._reader import Input
from engine.operators.sources._sift import Lines
from engine.operators.sources._types import settled
from engine.operators.sources.jsonl import READER


def test_lines_end_with_a_line_feed_and_nothing_else(tmp_path):
    texts = ["a\u2028b", "a\u0085b", "a\u2029b", "a\rb", "a\x0bb", "a\x0cb", "a\x1eb", "\ufeffa"]
    data = "".join(json.dumps({"t": text}, ensure_ascii=False) + "\n" for text in texts)
    found = read_all(READER, written(tmp_path / "f.jsonl", data))
    assert [row["t"] for row in found.rows] == texts
    assert found.bad == []


def test_crlf_blank_lines_and_a_byte_order_mark(tmp_path):
    data = b'\xef\xbb\xbf{"a": 1}\r\n\r\n \t\n{"a": 2}\r\n{"a": 3}'
    found = read_all(READER, written(tmp_path / "f.jsonl", data))
    assert [row["a"] for row in found.rows] == [1, 2, 3]
    assert found.records == [1, 4, 5]


def test_what_looks_like_a_time_is_text(tmp_path):
    lines = ['{"t": "2020-01-01", "l": ["2020-01-01T00:00:00Z"], "o": {"d": "1999-12-31"}}'] * 2
    found = read_all(READER, written(tmp_path / "f.jsonl", "\n".join(lines)))
    assert found.rows[1] == {"t": "2020-01-01", "l": ["2020-01-01T00:00:00Z"], "o": {"d": "1999-12-31"}}


def test_types_widen_from_block_to_block(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", 10)  # every line a block
    records = [
        {"a": None, "l": [], "o": {}},
        {"a": 1, "l": None, "o": {"x": 1}},
        {"a": 2.5, "l": ["t"], "o": {"y": "2020-01-01"}, "new": True},
        {"a": 3, "o": {"x": None, "y": "not a date"}},
    ]
    found = read_all(READER, written(tmp_path / "f.jsonl", "\n".join(map(json.dumps, records))))
    assert found.schema == pa.schema(
        {
            "a": pa.float64(),
            "l": pa.list_(pa.string()),
            "o": pa.struct({"x": pa.int64(), "y": pa.string()}),
            "new": pa.bool_(),
        }
    )
    assert found.rows == [
        {"a": None, "l": [], "o": {"x": None, "y": None}, "new": None},
        {"a": 1.0, "l": None, "o": {"x": 1, "y": None}, "new": None},
        {"a": 2.5, "l": ["t"], "o": {"x": None, "y": "2020-01-01"}, "new": True},
        {"a": 3.0, "l": None, "o": {"x": None, "y": "not a date"}, "new": None},
    ]


def test_the_first_type_counts_whatever_the_blocks(tmp_path, monkeypatch):
    lines = ['{"a": null}', '{"a": "x"}', '{"a": 1}', '{"a": "y"}', '{"a": [1]}']
    path = written(tmp_path / "f.jsonl", "\n".join(lines))
    whole = read_all(READER, path)
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", 5)
    assert read_all(READER, path) == whole
    assert [record for record, _, _ in whole.faults] == [3, 5]


def test_lists_of_nulls_are_sound(tmp_path):
    """Arrow's parser makes an invalid array of `[null, null]` where nothing gives the list a type."""
    found = read_all(READER, written(tmp_path / "f.jsonl", '{"a": [null, null], "b": {"c": [[null], []]}}\n'))
    assert found.rows == [{"a": [None, None], "b": {"c": [[None], []]}}]


def test_a_line_longer_than_a_block(tmp_path):
    texts = ["x" * 3_000_000, "y", "z" * 20_000_000]
    found = read_all(READER, written(tmp_path / "f.jsonl", "\n".join(json.dumps({"t": t}) for t in texts)))
    assert [row["t"] for row in found.rows] == texts


def test_many_brackets_inside_text_are_not_depth(tmp_path):
    text = "[{" * 5000
    found = read_all(READER, written(tmp_path / "f.jsonl", json.dumps({"t": text, "x": 1})))
    assert found.rows == [{"t": text, "x": 1}]


@pytest.mark.parametrize("name", ["f.jsonl.gz", "f.jsonl.zst", "misnamed.jsonl"])
def test_compressed(tmp_path, name):
    raw = b'{"a": "x"}\n{"a": "y"}\n'
    packed = pa.Codec("zstd").compress(raw, asbytes=True) if name.endswith("zst") else gzip.compress(raw)
    path = written(tmp_path / name, packed + packed)  # two members, as `cat a.gz b.gz` makes
    assert [row["a"] for row in read_all(READER, path).rows] == ["x", "y"] * 2
    assert READER.count(Input(name, path)) is None


@pytest.mark.parametrize("cut", [-1, -9, 30])
def test_a_cut_compressed_file_is_an_error_of_the_file(tmp_path, cut):
    data = gzip.compress(b"".join(b'{"a": %d}\n' % i for i in range(1000)))
    path = written(tmp_path / "f.jsonl.gz", data[:cut])
    with pytest.raises(SetwrightError, match=r"f\.jsonl\.gz can't be read: Truncated compressed stream"):
        read_all(READER, path)


@pytest.mark.parametrize(("data", "count"), [("", 0), ("{}\n", 1), ("{}\n{}", 2), ("{}\n{}\n", 2)])
def test_count(tmp_path, data, count):
    assert READER.count(Input("f", written(tmp_path / "f.jsonl", data))) == count


def test_an_empty_file_has_no_columns(tmp_path):
    found = read_all(READER, written(tmp_path / "f.jsonl", ""))
    assert (found.schema.names, found.rows, found.bad) == ([], [], [])


@pytest.mark.parametrize("name", ["raw/gsm8k_test.jsonl.gz", "conversations/oasst_trees_100.jsonl.gz"])
def test_published_files_equal_the_standard_library(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip("the shared data is not here")
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as f:
        expected = [json.loads(line) for line in f]
    found = read_all(READER, path)
    assert found.bad == []
    assert [_without_nulls(row) for row in found.rows] == [_without_nulls(row) for row in expected]


def _without_nulls(value):
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
integers = st.integers(-(2**53), 2**53)
records = st.lists(
    st.fixed_dictionaries(
        {"text": text, "n": integers, "x": st.floats(allow_nan=False, allow_infinity=False)},
        optional={
            "talk": st.lists(st.fixed_dictionaries({"role": text, "content": st.none() | text}), max_size=3),
            "tags": st.none() | st.lists(st.none() | text, max_size=3),
            "yes": st.booleans(),
            "date": st.dates().map(str),
        },
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(records, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_any_records_come_back_exactly(tmp_path_factory, rows, ascii_only, line_end, ended):
    path = tmp_path_factory.getbasetemp() / "roundtrip.jsonl"
    data = line_end.join(json.dumps(row, ensure_ascii=ascii_only) for row in rows) + (line_end if ended else "")
    path.write_bytes(data.encode())
    found = read_all(READER, path)
    assert found.bad == []
    assert [_without_nulls(row) for row in found.rows] == [_without_nulls(row) for row in rows]
    assert [repr(row["x"]) for row in found.rows] == [repr(row["x"]) for row in rows], "floats to the last bit"


PIECES = [
    *(b'{|}|[|]|"|,|:|null|true|1|-0|1.5|9007199254740993|NaN|1e300|\n|\r\n| |\\ud800|\xff|{}|[]'.split(b"|")),
    b'"2020-01-01"', b'{"a":1}', b'{"a":"x","b":[1,2]}', b'{"b":{"c":null}}', b"}null{",
]  # fmt: skip
BASES = [
    b'{"a":"x","b":1}', b'{"a":"2020-01-01","b":2.5}', b'{"a":null,"b":[null,null]}', b'{"b":{"c":[1]},"a":"\xc3\xa9"}',
    b'{"a":"x","b":9007199254740993}', b'{"a":"","b":{}}',
]  # fmt: skip
edits = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.sampled_from(PIECES)), max_size=3)


@settings(max_examples=250, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(BASES), edits), min_size=1, max_size=5), st.sampled_from([b"\n", b""]))
def test_both_paths_give_the_same_and_account_for_every_line(lines, end):
    """Whatever is in a block, the fast path and the careful one agree, and no line is lost."""
    data = b"\n".join(_edited(base, changes) for base, changes in lines) + end
    block = Lines(data, 1, "f")
    fast = settled(_lines.widen(pa.schema([]), block, None))
    given_fast = _lines.read(fast, block, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_lines, "_fast", lambda *_: None)
        assert settled(_lines.widen(pa.schema([]), block, None)) == fast
        given = _lines.read(fast, block, None)
    assert given_fast.table.to_pylist() == given.table.to_pylist()
    assert (given_fast.records.tolist(), given_fast.bad) == (given.records.tolist(), given.bad)
    filled = [n for n, line in enumerate(data.split(b"\n"), 1) if line.strip(b" \t\r")]
    if fast.names:
        assert sorted({*given.records.tolist(), *(b.record for b in given.bad)}) == filled


def _edited(line, changes):
    for at, size, piece in changes:
        line = line[:at] + piece + line[at + size :]
    return line
