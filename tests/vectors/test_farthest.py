from itertools import combinations

import numpy as np
import pytest
from vectors.given import MATRICES, exact, ordered

from engine.vectors import farthest, lazy
from engine.vectors.farthest import NOBODY, covered, farthest_first, nearest_to_mean


def one_by_one(pairs, first, budget, least=-1.0):
    """The sequential rule: the picks, and for each row the pick that stands for it (for a pick, one before it)."""
    picks, nearest, similarity = [], np.full(len(pairs), NOBODY), np.full(len(pairs), -np.inf)
    while len(picks) < min(budget, len(pairs)):
        far = np.maximum(similarity, least)
        far[picks] = np.inf
        pick = int(far.argmin()) if picks else first
        picks.append(pick)
        nearer = (pairs[pick] > similarity) & ~np.isin(np.arange(len(pairs)), picks)
        similarity[nearer], nearest[nearer] = pairs[pick][nearer], pick
    return picks, nearest, similarity


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize(("subsets", "block"), [((8, 3), 50), ((100, 20), 64), (lazy.SUBSETS, 4096)])
@pytest.mark.parametrize("cap", [None, 0.5])
def test_equals_the_sequential_rule_whatever_the_subsets(monkeypatch, name, subsets, block, cap):
    monkeypatch.setattr(lazy, "SUBSETS", subsets)
    monkeypatch.setattr(farthest, "BLOCK", block)
    rows = ordered(MATRICES[name], np.random.default_rng(4).permutation(len(MATRICES[name])))
    pairs = exact(rows)
    for budget in (1, 40, 1000):
        picks, cover = farthest_first(rows, 17, budget, cap)
        expected, nearest, similarity = one_by_one(pairs, 17, budget, -1.0 if cap is None else 1 - cap / 2)
        assert picks.tolist() == expected
        assert cover.nearest.tolist() == nearest.tolist()
        assert cover.similarity.tolist() == similarity.tolist()  # kept up to date, and as computed anew
        assert covered(rows, picks).nearest.tolist() == nearest.tolist()


@pytest.mark.parametrize("seed", range(8))
def test_the_radius_is_at_most_twice_the_best(seed):
    matrix = np.random.default_rng(seed).normal(size=(12, 3))
    picks, cover = farthest_first(ordered(matrix), seed, 3)
    distances = np.sqrt(2 - 2 * exact(ordered(matrix)))
    radius = distances[picks].min(axis=0).max()
    assert radius == np.sqrt(2 - 2 * cover.similarity[~cover.picked].min())
    best = min(distances[list(centres)].min(axis=0).max() for centres in combinations(range(12), 3))
    assert best <= radius <= 2 * best


def test_the_middle():
    degrees = np.radians([0, 50, 80, 90])  # the mean lies at 54
    assert nearest_to_mean(ordered(np.stack([np.cos(degrees), np.sin(degrees)], axis=1))) == 1
    assert nearest_to_mean(ordered(np.array([[0, 1.0], [1, 0], [-1, 0], [0, -1]]))) == 0  # no direction: the first
