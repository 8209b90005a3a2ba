"""Parquet and Arrow files: the normal form of types, row groups and batches, damage."""

import datetime
import gzip
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from operators.sources.reading import SHARED, read_all, written

from engine.errors import SetwrightError
from engine.operators.sources import arrow, parquet
from engine.operators.sources._reader import Input

ODD = pa.table(
    {
        "large": pa.array(["a", None], pa.large_string()),
        "view": pa.array(["a", "b"], pa.string_view()),
        "dict": pa.array(["x", "x"]).dictionary_encode(),
        "talk": pa.array(
            [[{"role": "user", "content": "hi"}], None],
            pa.large_list(pa.struct({"role": pa.large_string(), "content": pa.large_string()})),
        ),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "vector": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)),
        "when": pa.array([datetime.datetime(2020, 1, 1), None], pa.timestamp("us")),
        "money": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        "none": pa.nulls(2),
        "tags": pa.ListArray.from_arrays([0, 1, 2], pa.array(["t", "u"]).dictionary_encode()),
    }
)
NORMAL = pa.schema(
    {
        "large": pa.string(),
        "view": pa.string(),
        "dict": pa.string(),
        "talk": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
        "map": pa.list_(pa.struct({"key": pa.string(), "value": pa.int64()})),
        "vector": pa.list_(pa.float32(), 2),
        "when": pa.timestamp("us"),
        "money": pa.decimal128(10, 2),
        "none": pa.null(),
        "tags": pa.list_(pa.string()),
    }
)
VALUES = [
    {
        "large": "a", "view": "a", "dict": "x", "talk": [{"role": "user", "content": "hi"}],
        "map": [{"key": "k", "value": 1}], "vector": [1.0, 2.0], "when": datetime.datetime(2020, 1, 1),
        "money": Decimal("1.50"), "none": None, "tags": ["t"],
    },
    {
        "large": None, "view": "b", "dict": "x", "talk": None, "map": None, "vector": [3.0, 4.0], "when": None,
        "money": None, "none": None, "tags": ["u"],
    },
]  # fmt: skip


def _ipc(table, stream):
    sink = pa.BufferOutputStream()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("form", ["parquet", "file", "stream", "file.gz", "stream.zst"])
def test_types_in_normal_form(tmp_path, form):
    reader = parquet.READER if form == "parquet" else arrow.READER
    path = tmp_path / f"f.{form}"
    if form == "parquet":
        pq.write_table(ODD, path, row_group_size=1)
    else:
        data = _ipc(ODD, "stream" in form)
        packed = {"gz": gzip.compress, "zst": lambda raw: pa.Codec("zstd").compress(raw, asbytes=True)}
        written(path, packed.get(form.rpartition(".")[2], bytes)(data))
    found = read_all(reader, path)
    assert found.schema == NORMAL
    assert (found.rows, found.records) == (VALUES, [1, 2])


def test_counts(tmp_path):
    pq.write_table(ODD, tmp_path / "f.parquet")
    assert parquet.READER.count(Input("f", tmp_path / "f.parquet")) == 2
    assert arrow.READER.count(Input("f", written(tmp_path / "f.arrow", _ipc(ODD, stream=False)))) == 2
    assert arrow.READER.count(Input("f", written(tmp_path / "s.arrow", _ipc(ODD, stream=True)))) is None


@pytest.mark.parametrize("damage", ["empty", "cut", "overwritten"])
@pytest.mark.parametrize("form", ["parquet", "file", "stream"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, form, damage):
    path = tmp_path / f"f.{form}"
    table = pa.table({"t": [f"text {i}" for i in range(1000)]})
    if form == "parquet":
        pq.write_table(table, path)
    else:
        written(path, _ipc(table, form == "stream"))
    data = path.read_bytes()
    broken = {"empty": b"", "cut": data[: len(data) // 2], "overwritten": bytes(len(data))}[damage]
    with pytest.raises(SetwrightError, match=rf"f\.{form} can't be read") as raised:
        read_all(parquet.READER if form == "parquet" else arrow.READER, written(path, broken))
    assert raised.value.cure


def test_two_columns_of_one_name(tmp_path):
    path = written(tmp_path / "f.arrow", _ipc(pa.table([[1], [2]], names=["a", "a"]), stream=False))
    with pytest.raises(SetwrightError, match="several columns named 'a'"):
        read_all(arrow.READER, path)


def test_columns_of_several_files_unify_or_say_why_not(tmp_path):
    pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "s": ["x"]}), tmp_path / "f.parquet")
    known = pa.schema({"a": pa.float64(), "new": pa.string()})
    found = read_all(parquet.READER, tmp_path / "f.parquet", known)
    assert found.schema == pa.schema({"a": pa.float64(), "new": pa.string(), "s": pa.string()})
    assert found.rows == [{"a": 1.0, "new": None, "s": "x"}]
    with pytest.raises(SetwrightError, match=r"f\.parquet: column 's' is string, but int64 in the inputs before it"):
        read_all(parquet.READER, tmp_path / "f.parquet", pa.schema({"s": pa.int64()}))


def test_an_integer_that_would_be_rounded_is_an_error(tmp_path):
    pq.write_table(pa.table({"a": [2**53 + 1]}), tmp_path / "f.parquet")
    with pytest.raises(SetwrightError, match=r"f\.parquet can't be read: Integer value 9007199254740993"):
        read_all(parquet.READER, tmp_path / "f.parquet", pa.schema({"a": pa.float64()}))


def test_published_tables_read_as_they_are():
    if not SHARED.exists():
        pytest.skip("the shared data is not here")
    paths = sorted(SHARED.glob("*/*.parquet"))
    assert len(paths) > 20
    for path in paths:
        if path.stat().st_size < 500_000:
            assert read_all(parquet.READER, path).rows == pq.read_table(path).to_pylist(), path.name
