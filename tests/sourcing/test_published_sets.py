"""Every published set at hand, through every format that can hold it: the same rows, the same ids."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from operators.sources.reading import SHARED
from sourcing.sources import ids, read_source

from engine.operators.sources.jsonl import BOM
from engine.schema import is_messages

pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")


def published():
    return sorted(str(path.relative_to(SHARED)) for path in SHARED.glob("*/*") if path.suffix in (".parquet", ".gz"))


def small():
    return [name for name in published() if name.endswith(".parquet") and (SHARED / name).stat().st_size < 300_000]


@pytest.mark.parametrize("name", published())
def test_reads_whole_and_without_rejects(name):
    table, rejects = read_source(SHARED / name)
    assert rejects == []
    assert len(set(ids(table))) == len(table) > 0
    if name.endswith(".parquet"):
        assert len(table) == pq.read_metadata(SHARED / name).num_rows
    for column in ("messages", "chosen"):
        if column in table.column_names and pa.types.is_list(table.schema.field(column).type):
            assert is_messages(table.schema.field(column).type)
            assert table[column].null_count == 0


def _forms(rows):
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    yield "f.jsonl", lines
    yield "f.jsonl.gz", gzip.compress(BOM + lines.replace(b"\n", b"\r\n"), 1)
    yield "f.json.zst", pa.Codec("zstd").compress(json.dumps(rows, indent=1).encode(), asbytes=True)
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    yield "f.arrow", sink.getvalue().to_pybytes()


@pytest.mark.parametrize("name", small())
def test_formats_agree(tmp_path, name):
    expected, _ = read_source(SHARED / name)
    rows = pq.read_table(SHARED / name).to_pylist()
    for file, data in _forms(rows):
        (tmp_path / file).write_bytes(data)
        table, rejects = read_source(file, tmp_path)
        assert rejects == []
        assert table.to_pylist() == expected.to_pylist(), file


@pytest.mark.parametrize(
    "name", ["instructions/alpaca_52k", "instructions/gpteacher_codegen_roleplay", "longform/longbench_write"]
)
def test_csv_agrees(tmp_path, name):
    table = pq.read_table(SHARED / f"{name}.parquet").slice(0, 5000)
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(table.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
    (tmp_path / "f.csv").write_bytes(buffer.getvalue().encode())
    pq.write_table(table, tmp_path / "f.parquet")
    found, rejects = read_source("f.csv", tmp_path)
    assert rejects == []
    assert found.to_pylist() == read_source("f.parquet", tmp_path)[0].to_pylist()


def test_the_same_pairs_in_two_layouts():
    """LLaMA-Factory's own file (conversations, single messages as sides) and the tidied table."""
    raw, _ = read_source(SHARED / "raw" / "dpo_en_demo.json.gz")
    tidy, _ = read_source(SHARED / "preferences" / "dpo_en_300.parquet")
    for column in ("prompt", "chosen", "rejected", "row_id"):
        assert raw[column].to_pylist() == tidy[column].to_pylist()
