from itertools import combinations

import numpy as np
import pytest
from vectors.given import MATRICES, exact, ordered

from engine.vectors import facility
from engine.vectors.facility import NOBODY, ONE, Facility, graph_of
from engine.vectors.nearest import nearest_k


def dense(rows, k):
    """The similarities that count, as whole numbers: of either's k nearest, at least 0, and each row's own."""
    pairs = exact(rows)
    near = np.eye(len(rows), dtype=bool)
    np.put_along_axis(near, nearest_k(rows, k).rows, True, axis=1)
    return np.where(near | near.T, np.maximum(np.rint(pairs * ONE), 0), 0).astype(np.int64)


def naive(weights, bonus, budget):
    """The greedy algorithm as it is defined, and the pick that stands for each row (for a pick, one before it)."""
    best, picks, nearest = np.zeros(len(weights), np.int64), [], np.full(len(weights), NOBODY)
    while len(picks) < min(budget, len(weights)):
        gains = np.maximum(weights - best[:, None], 0).sum(axis=0) + bonus
        gains[picks] = np.iinfo(np.int64).min
        pick = int(gains.argmax())
        picks.append(pick)
        better = (weights[:, pick] > best) & (np.arange(len(weights)) != pick)
        nearest[better] = pick
        best = np.maximum(best, weights[:, pick])
    return picks, nearest


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("k", [1, 10, 1000])
@pytest.mark.parametrize("evaluated", [1, 32])
def test_lazy_picks_are_the_naive_ones(monkeypatch, name, k, evaluated):
    monkeypatch.setattr(facility, "EVALUATED", evaluated)
    rows = ordered(MATRICES[name], np.random.default_rng(8).permutation(len(MATRICES[name])))
    weights, n = dense(rows, k), len(rows)
    for bonus in (np.zeros(n, np.int64), np.random.default_rng(9).integers(0, 2 * ONE, n)):
        state = Facility(graph_of(nearest_k(rows, k)), bonus)
        picks, nearest = naive(weights, bonus, 100)
        assert state.lazy(100).tolist() == picks
        assert state.nearest.tolist() == nearest.tolist()
        named = nearest != NOBODY
        assert (state.similarity[named] * ONE == weights[named, nearest[named]]).all()


@pytest.mark.parametrize("seed", range(8))
def test_the_value_is_near_the_best(seed):
    """Within 1 - 1/e of the best 4 of 14, and what the gains add up to."""
    rng = np.random.default_rng(seed)
    rows, bonus = ordered(rng.normal(size=(14, 3))), rng.integers(0, ONE, 14)
    weights = dense(rows, 13)

    def value(picks):
        return weights[:, list(picks)].max(axis=1).sum() + bonus[list(picks)].sum()

    state = Facility(graph_of(nearest_k(rows, 13)), bonus)
    gained, before = [], Facility(graph_of(nearest_k(rows, 13)), bonus)
    picks = state.lazy(4).tolist()
    for pick in picks:
        gained.append(int(before.gains(np.array([pick]))[0]))
        before.pick(pick)
    assert sum(gained) == value(picks)
    assert value(picks) >= (1 - 1 / np.e) * max(value(chosen) for chosen in combinations(range(14), 4))


def test_stochastic_picks():
    rows = ordered(MATRICES["of all directions"])
    weights, graph, bonus = dense(rows, 20), graph_of(nearest_k(rows, 20)), np.zeros(300, np.int64)

    def drawn(budget, epsilon):
        return Facility(graph, bonus).stochastic(budget, epsilon, np.random.default_rng(1)).tolist()

    def value(picks):
        return weights[:, picks].max(axis=1).sum()

    greedy = naive(weights, bonus, 30)[0]
    assert drawn(30, 1e-14) == greedy  # each sample has all rows
    assert len(set(drawn(30, 0.01))) == 30
    assert value(greedy) > value(drawn(30, 0.01)) > 0.97 * value(greedy)
    assert 0.97 * value(greedy) > value(drawn(30, 0.9)) > value(list(range(30)))
    assert sorted(drawn(300, 0.9)) == list(range(300))
