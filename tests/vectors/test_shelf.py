import resource

import numpy as np
import pytest

from engine.errors import StoreError
from engine.vectors import shelf
from engine.vectors.shelf import Shelf


def test_what_is_put_down_in_any_order_is_read_in_that_of_the_places(tmp_path, monkeypatch):
    monkeypatch.setattr(shelf, "BLOCK", 8 * 3 * 10)
    vectors = np.random.default_rng(0).normal(size=(47, 3)).astype(np.float32)
    made = Shelf(tmp_path / "vectors", 47, 3)
    order = np.random.default_rng(1).permutation(47)
    for places in np.array_split(order, 6):
        made.put(places, vectors[places].astype(np.float64))
    assert [len(block) for block in made.blocks()] == [10, 10, 10, 10, 7]
    assert np.array_equal(np.concatenate(list(made.blocks())), vectors)
    wanted = np.arange(47) % 3 == 0
    assert np.array_equal(np.concatenate(list(made.blocks(wanted))), vectors[wanted])


def test_a_place_that_stays_empty_holds_zeros(tmp_path):
    made = Shelf(tmp_path / "vectors", 3, 2)
    made.put(np.array([1]), np.array([[1, 2]], np.float16))
    made.put(np.zeros(0, np.int64), np.zeros((0, 2)))
    assert next(made.blocks()).tolist() == [[0, 0], [1, 2], [0, 0]]
    assert list(Shelf(tmp_path / "none", 0, 2).blocks()) == []


def test_a_file_that_can_not_be_written(tmp_path):
    with pytest.raises(StoreError, match="can't be written"):
        Shelf(tmp_path / "missing" / "vectors", 1, 1)


def test_a_disk_without_room_is_an_error_before_anything_is_put_down(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(StoreError, match="File too large"):
            Shelf(tmp_path / "vectors", 1 << 20, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
