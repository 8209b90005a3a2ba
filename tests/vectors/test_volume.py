import numpy as np
import pytest
from vectors.given import MATRICES, ordered

from engine.vectors import lazy, volume
from engine.vectors.volume import most_volume


def published(kernel, budget, least=1e-10):
    """Algorithm 1 of Chen et al.; equals, but for rounding, go to the first."""
    d2, c, picks = kernel.diagonal().copy(), np.zeros((len(kernel), 0)), []
    while len(picks) < min(budget, len(kernel)):
        j = int(d2.round(11).argmax())
        if d2[j] < least:
            break
        e = (kernel[j] - c @ c[j]) / np.sqrt(d2[j])
        c, d2 = np.column_stack([c, e]), d2 - e**2
        d2[j] = -np.inf
        picks.append(j)
    return picks


def unit_of(rows):
    wide = rows.rows(slice(0, len(rows))).astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["of all directions", "with copies", "of one direction"])
@pytest.mark.parametrize(("subsets", "block"), [((8, 3), 50), ((100, 20), 64), (lazy.SUBSETS, 4096)])
def test_equals_the_published_algorithm(monkeypatch, name, subsets, block):
    monkeypatch.setattr(lazy, "SUBSETS", subsets)
    monkeypatch.setattr(volume, "BLOCK", block)
    rows = ordered(MATRICES[name])
    n = len(rows)
    unit = unit_of(rows)
    for quality in (np.ones(n), np.random.default_rng(5).uniform(0.2, 1, n)):
        for budget in (1, 7, 1000):
            picks = most_volume(rows, quality, budget).tolist()
            assert picks == published(quality[:, None] * (unit @ unit.T) * quality, budget)
            assert len(picks) == min(budget, np.linalg.matrix_rank(unit, tol=1e-5))


def test_each_pick_has_the_largest_determinant():
    rows = ordered(MATRICES["of all directions"][:60])
    unit = unit_of(rows)
    quality = np.random.default_rng(6).uniform(0.5, 1, 60)
    kernel = quality[:, None] * (unit @ unit.T) * quality
    picks = most_volume(rows, quality, 6).tolist()
    for k in range(6):
        sets = [[*picks[:k], i] for i in range(60) if i not in picks[:k]]
        best = max(sets, key=lambda chosen: np.linalg.slogdet(kernel[np.ix_(chosen, chosen)])[1])
        assert best == picks[: k + 1]


def test_equal_rows_stay_equal(monkeypatch):
    """Of copies the first is picked, wherever a block or a subset ends."""
    directions = np.random.default_rng(7).normal(size=(40, 64))
    for block in (5, 33, 4096):
        monkeypatch.setattr(volume, "BLOCK", block)
        picks = most_volume(ordered(np.tile(directions, (9, 1))), np.ones(360), 40)
        assert sorted(picks.tolist()) == list(range(40))
