import numpy as np

from engine.vectors import closest as room
from engine.vectors.closest import closest


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_equals_brute_force(monkeypatch):
    monkeypatch.setattr(room, "PRODUCTS", 7 * 30)
    monkeypatch.setattr(room, "PAIRS", 3)
    rng = np.random.default_rng(0)
    rows, others = unit(rng.normal(size=(40, 16))), unit(rng.normal(size=(30, 16)))
    exact = rows.astype(np.float64) @ others.astype(np.float64).T
    best, similarity = closest(rows, others)
    assert best.tolist() == exact.argmax(axis=1).tolist()
    assert np.allclose(similarity, exact.max(axis=1), atol=1e-12)


def test_of_equals_the_first_and_none_beyond_1():
    rows = unit(np.random.default_rng(1).normal(size=(5, 384)))
    best, similarity = closest(rows, np.concatenate([rows[::-1], rows]))
    assert best.tolist() == [4, 3, 2, 1, 0]
    assert similarity.max() <= 1


def test_what_float32_cannot_tell():
    """Many others that lie within 1e-7 of each other's cosines."""
    rng = np.random.default_rng(2)
    base = unit(rng.normal(size=(50, 64)))
    others = unit(np.repeat(base, 20, axis=0) + 2e-4 * rng.normal(size=(1000, 64)))
    exact = base.astype(np.float64) @ others.astype(np.float64).T
    assert (np.sort(exact)[:, -1] - np.sort(exact)[:, -2]).min() < 1e-8
    assert closest(base, others)[0].tolist() == exact.argmax(axis=1).tolist()


def test_no_rows():
    assert closest(np.zeros((0, 3), np.float32), np.eye(3, dtype=np.float32))[0].tolist() == []
