import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import StoreError
from engine.vectors import disk
from engine.vectors.disk import DiskTape, MemoryTape
from engine.vectors.unit import UnitVectors

FLOAT = pa.float32()


def column(vectors, kind=FLOAT, nulls=()):
    values = pa.array(np.ascontiguousarray(vectors).reshape(-1)).cast(kind)
    mask = np.isin(np.arange(len(vectors)), nulls)
    return pa.chunked_array([pa.FixedSizeListArray.from_arrays(values, vectors.shape[1], mask=pa.array(mask))])


def cut(whole, sizes):
    """The column in parts of these sizes, over and over."""
    start, i = 0, 0
    while start < len(whole):
        yield whole.slice(start, sizes[i % len(sizes)])
        start, i = start + sizes[i % len(sizes)], i + 1


def vectors(n, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, dim)) * rng.uniform(0.1, 9, (n, 1))).astype(np.float16).astype(np.float32)


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
@pytest.mark.parametrize("region", [1, 6 * 4 * 13, 1 << 20])  # rows of a region: 1, 13, all
def test_both_tapes_give_the_column_in_the_order_wanted(tmp_path, monkeypatch, kind, region):
    monkeypatch.setattr(disk, "REGION", region)
    monkeypatch.setattr(disk, "SLICE", region)
    given = column(vectors(100), kind, nulls=[3, 50])
    order = np.random.default_rng(1).permutation(130) % 100  # some rows twice
    truth = UnitVectors(given).rows(order)
    for parts in ([7], [100], [1, 30]):
        tape = DiskTape(given.type, cut(given, parts), order, tmp_path / f"{parts}")
        for one in (tape, MemoryTape(given, order)):
            assert len(one) == 130
            assert one.known.tolist() == (~np.isin(order, [3, 50])).tolist()
            for start, stop in [(0, 130), (0, 1), (12, 14), (13, 26), (5, 120), (129, 130), (40, 40)]:
                known = one.known[start:stop]
                assert np.array_equal(one.rows(start, stop)[known], truth[start:stop][known])


def test_rows_that_are_not_wanted_are_not_written(tmp_path):
    given = column(vectors(1000), pa.float16())
    tape = DiskTape(given.type, cut(given, [64]), np.arange(900, 1000)[::-1], tmp_path / "few")
    assert (tmp_path / "few").stat().st_size == 100 * 6 * 2
    assert np.array_equal(tape.rows(0, 100), UnitVectors(given).rows(np.arange(999, 899, -1)))


def test_an_empty_order(tmp_path):
    given = column(vectors(5))
    for tape in (
        DiskTape(given.type, cut(given, [2]), np.zeros(0, np.int64), tmp_path / "none"),
        MemoryTape(given, np.zeros(0, np.int64)),
    ):
        assert tape.rows(0, 0).shape == (0, 6)


def test_reading_holds_a_region_and_not_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "REGION", 1 << 18)
    rng = np.random.default_rng(0)
    made = (column(rng.standard_normal((500, 64), dtype=np.float32), pa.float16()) for _ in range(80))
    order = rng.permutation(40_000)
    tracemalloc.start()
    tape = DiskTape(pa.list_(pa.float16(), 64), made, order, tmp_path / "tape")
    for start in range(0, 40_000, 1000):
        tape.rows(start, start + 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "tape").stat().st_size == 40_000 * 64 * 2  # 5.1 MB
    assert peak < 40_000 * 40 + 4 * (1 << 18)  # 2.6 MB


def test_a_file_that_can_not_be_written(tmp_path):
    given = column(vectors(5))
    with pytest.raises(StoreError, match=r"nowhere/tape can't be written: No such file(.|\n)*cure: give the home"):
        DiskTape(given.type, cut(given, [2]), np.arange(5), tmp_path / "nowhere" / "tape")
