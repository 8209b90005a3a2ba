"""CSV as in RFC 4180: quoting, types only where they lose nothing, faults by row."""

import csv
import gzip
import io

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operators.sources.reading import SHARED, read_all, written

from engine.errors import SetwrightError
from engine.operators.sources import csv as csv_format
from engine.operators.sources.csv import READER


def test_quotes_commas_and_line_feeds_in_cells(tmp_path):
    data = 'a,b\r\n"x, ""y""\nz",1\r\n\r\n"\r\n",2\n"\u2028",3'
    found = read_all(READER, written(tmp_path / "f.csv", data))
    assert found.rows == [{"a": 'x, "y"\nz', "b": 1}, {"a": "\r\n", "b": 2}, {"a": "\u2028", "b": 3}]
    assert found.records == [1, 2, 3]


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-2", "0"], pa.int64(), [1, -2, 0]),
        (["1", "", "3"], pa.int64(), [1, None, 3]),
        (["1", "2.5"], pa.float64(), [1.0, 2.5]),
        (["0.1", "-3.0"], pa.float64(), [0.1, -3.0]),
        (["007", "8"], pa.string(), ["007", "8"]),
        (["1e5", "1"], pa.string(), ["1e5", "1"]),
        (["1.50", "2"], pa.string(), ["1.50", "2"]),
        (["+1", "2"], pa.string(), ["+1", "2"]),
        (["-0", "1"], pa.string(), ["-0", "1"]),
        ([" 1", "2"], pa.string(), [" 1", "2"]),
        (["2020-01-01", "2020-01-02"], pa.string(), ["2020-01-01", "2020-01-02"]),
        (["true", "false"], pa.string(), ["true", "false"]),
        (["NaN", "1.5"], pa.string(), ["NaN", "1.5"]),
        (["1234567890123456", "1"], pa.string(), ["1234567890123456", "1"]),
        (["123456789012345", "1"], pa.int64(), [123456789012345, 1]),
        (["0.1234567890123456", "1"], pa.string(), ["0.1234567890123456", "1"]),
        (["", ""], pa.string(), ["", ""]),
        (["null", "NA"], pa.string(), ["null", "NA"]),
    ],
)
def test_numbers_only_where_nothing_is_lost(tmp_path, cells, kind, values):
    rows = "".join(f"{cell},x\n" for cell in cells)
    found = read_all(READER, written(tmp_path / "f.csv", f"v,t\n{rows}"))
    assert found.schema.field("v").type == kind
    assert [row["v"] for row in found.rows] == values


@pytest.mark.parametrize(
    ("cells", "kind"), [(["1", "2.5"], pa.float64()), (["1", "x"], pa.string()), (["", "1"], pa.string())]
)
def test_types_are_those_of_all_batches(tmp_path, monkeypatch, cells, kind):
    monkeypatch.setattr(csv_format, "BATCH_ROWS", 1)
    found = read_all(READER, written(tmp_path / "f.csv", "v,t\n" + "".join(f"{cell},x\n" for cell in cells)))
    assert found.schema.field("v").type == kind
    assert len(found.rows) == 2


def test_a_text_longer_than_the_csv_module_allows_by_itself(tmp_path):
    found = read_all(READER, written(tmp_path / "f.csv", f'a\n"{"x" * 300_000}"\n'))
    assert len(found.rows[0]["a"]) == 300_000


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"x", "a row of 1, where the header names 2 columns"),
        (b"x,1,y", "a row of 3, where the header names 2 columns"),
        (b'"x"y,1', "not CSV: ',' expected after '\"'"),
        (b"caf\xe9,1", "not UTF-8"),
    ],
)
def test_a_bad_row_costs_no_other(tmp_path, line, reason):
    found = read_all(READER, written(tmp_path / "f.csv", b"a,b\nfirst,1\n" + line + b"\nlast,3\n"))
    assert found.faults == [(2, "", reason)]
    assert (found.rows, found.records) == ([{"a": "first", "b": 1}, {"a": "last", "b": 3}], [1, 3])


def test_an_open_quote_at_the_end_is_named(tmp_path):
    found = read_all(READER, written(tmp_path / "f.csv", 'a,b\nfirst,1\n"open,2\nlast,3\n'))
    assert found.faults == [(2, "", "not CSV: unexpected end of data")]
    assert len(found.rows) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "must name every column"),
        ("a,,b\n1,2,3\n", "must name every column"),
        ("a,b,a\n1,2,3\n", "several columns named 'a'"),
        (b"caf\xe9,b\n1,2\n", "not CSV in UTF-8"),
    ],
)
def test_a_bad_header_is_an_error_of_the_file(tmp_path, data, message):
    with pytest.raises(SetwrightError, match=message):
        read_all(READER, written(tmp_path / "f.csv", data))


def test_a_header_alone_gives_columns_without_rows(tmp_path):
    found = read_all(READER, written(tmp_path / "f.csv", "\ufeffa,b\n"))
    assert (found.schema.names, found.rows) == (["a", "b"], [])


def test_published_file_equals_the_standard_library():
    path = SHARED / "raw" / "xstest_prompts.csv.gz"
    if not path.exists():
        pytest.skip("the shared data is not here")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as f:
        expected = list(csv.DictReader(f))
    found = read_all(READER, path)
    assert [{k: str(v) for k, v in row.items()} for row in found.rows] == expected
    assert found.schema.field("id").type == pa.int64()


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_any_cells_come_back_as_text_or_as_the_same_number(tmp_path_factory, rows, line_end):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b"), *rows])
    path = written(tmp_path_factory.getbasetemp() / "roundtrip.csv", buffer.getvalue())
    found = read_all(READER, path)
    assert found.bad == []
    assert [tuple("" if v is None else _plain(v) for v in row.values()) for row in found.rows] == [
        tuple(map(_plain, row)) for row in rows
    ]


def _plain(value):
    """Numbers by value (1 and 1.0 are one), text by itself."""
    try:
        return repr(float(value)) if str(value).replace(".", "").replace("-", "").isascii() else value
    except ValueError:
        return value
