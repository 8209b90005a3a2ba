"""Weights of objectives: the closed form and the active set against other solvers, and hand-computed steps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from trainers.losses.pareto import combine, min_norm_point, min_square, weigh


def numeric_minimum(gram):
    """Minima of `c' G c` over the simplex for `[cases, n, n]`, by exact steps along the two worst axes (SMO)."""
    cases, n, _ = gram.shape
    each, c = np.arange(cases), np.full((cases, n), 1 / n)
    for _ in range(20 * n):
        slope = np.einsum("bij,bj->bi", gram, c)
        to, source = slope.argmin(axis=1), np.where(c > 0, slope, -np.inf).argmax(axis=1)
        bend = gram[each, to, to] - 2 * gram[each, to, source] + gram[each, source, source]
        step = (slope[each, source] - slope[each, to]) / np.maximum(bend, 1e-300)
        step = np.minimum(step, c[each, source])
        c[each, to] += step
        c[each, source] -= step
    return np.einsum("bi,bij,bj->b", c, gram, c)


def brute_force(gram):
    """The minimum of `c' G c` over the simplex: the best of the affine minima of all subsets that lie inside."""
    best = np.inf
    for size in range(1, len(gram) + 1):
        for chosen in itertools.combinations(range(len(gram)), size):
            inverse = np.linalg.solve(gram[np.ix_(chosen, chosen)], np.ones(size))
            if (inverse / inverse.sum() >= 0).all():
                best = min(best, 1 / inverse.sum())
    return best


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_closed_form_is_the_minimum_of_a_numeric_solver(n):
    rng = np.random.default_rng(n)
    signs = rng.choice([-1, 0, 1], size=(10_000, 1))  # a third of the cases each: all below 0, mixed, all above 0
    values = rng.normal(size=(10_000, n)) * (signs == 0) + signs * rng.uniform(0.01, 2, size=(10_000, n))
    optimum, weights = (found.numpy() for found in min_square(torch.from_numpy(values)))
    assert np.abs(np.square(optimum) - numeric_minimum(values[:, :, None] * values[:, None])).max() <= 1e-8
    assert np.abs((weights * values).sum(axis=1) - optimum).max() <= 1e-12
    assert weights.min() >= 0
    assert np.abs(weights.sum(axis=1) - 1).max() <= 1e-12


@pytest.mark.parametrize(
    ("values", "optimum", "weights"),
    [
        ([2.0, 5.0], 2.0, [1.0, 0.0]),
        ([0.0, 3.0], 0.0, [1.0, 0.0]),
        ([1.0, 3.0], 1.0, [1.0, 0.0]),
        ([-1.0, -4.0], -1.0, [1.0, 0.0]),
        ([-1.0, 3.0], 0.0, [0.75, 0.25]),
        ([4.0, 2.0, 2.0], 2.0, [0.0, 0.5, 0.5]),
        ([-2.0, 1.0, 2.0], 0.0, [0.5, 0.0, 0.5]),
        ([0.0, 0.0], 0.0, [0.5, 0.5]),
        ([7.0], 7.0, [1.0]),
    ],
)
def test_closed_form_by_hand(values, optimum, weights):
    found, c = min_square(torch.tensor(values, dtype=torch.float64))
    assert found.item() == optimum
    assert c.tolist() == weights


def test_two_vectors_have_a_formula():
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 1, 100_001)
    for _ in range(20):
        a, b = rng.normal(size=(2, 50)) + rng.normal(size=(2, 1))
        formula = np.clip((b - a) @ b / ((a - b) @ (a - b)), 0, 1)
        gram = np.array([[a @ a, a @ b], [a @ b, b @ b]])
        assert min_norm_point(gram) == pytest.approx([formula, 1 - formula], abs=1e-9)
        squares = grid**2 * gram[0, 0] + 2 * grid * (1 - grid) * gram[0, 1] + (1 - grid) ** 2 * gram[1, 1]
        assert grid[squares.argmin()] == pytest.approx(formula, abs=1e-5)
        c = min_norm_point(gram)
        assert c @ gram @ c - squares.min() <= 1e-6


@pytest.mark.parametrize(("n", "cases"), [(3, 300), (5, 300), (8, 40)])
def test_active_set_is_the_minimum_of_all_subsets(n, cases):
    rng = np.random.default_rng(n)
    for _ in range(cases):
        vectors = rng.normal(size=(n, n + 3)) + rng.normal() * rng.normal(size=n + 3)
        gram = vectors @ vectors.T
        c = min_norm_point(gram)
        assert c.min() >= 0
        assert abs(c.sum() - 1) <= 1e-12
        assert abs(c @ gram @ c - brute_force(gram)) <= 1e-8


def test_vectors_that_depend_on_each_other():
    rng = np.random.default_rng(3)
    one = rng.normal(size=20)
    copies = np.tile(one, (4, 1))
    assert min_norm_point(copies @ copies.T) @ copies == pytest.approx(one)
    opposite = np.stack([one, -2 * one, one])
    c = min_norm_point(opposite @ opposite.T)
    assert np.abs(c @ opposite).max() <= 1e-12
    around = rng.normal(size=(10, 2))  # ten vectors of a plane, the origin among them
    c = min_norm_point(around @ around.T)
    assert np.abs(c @ around).max() <= 1e-6
    assert min_norm_point(np.zeros((3, 3))).tolist() == [1 / 3] * 3


def tokens_of_two_responses():
    """Advantages of two objectives, `[5, 2]`; three tokens of the first response, two of the second."""
    advantages = torch.tensor([[1.0, 2.0], [4.0, 0.0], [1.0, 1.0], [6.0, 2.0], [0.0, 2.0]], dtype=torch.float64)
    return advantages, torch.tensor([0, 0, 0, 1, 1])


@pytest.mark.parametrize(
    ("granularity", "expected", "weights", "optimum"),
    [
        # min per token
        ("token", [1.0, 0.0, 1.0, 2.0, 0.0], [0.5, 0.5], 0.8),
        # means (2, 1) and (3, 2): both responses go by the second objective
        ("sequence", [2.0, 0.0, 1.0, 2.0, 2.0], [0.0, 1.0], 1.4),
        # means (2.4, 1.4)
        ("batch", [2.0, 0.0, 1.0, 2.0, 2.0], [0.0, 1.0], 1.4),
        ("batch_scalar", [1.4] * 5, [0.0, 1.0], 1.4),
        # G = [[54, 15], [15, 13]]: c_1 = (13 - 15) / (54 - 30 + 13) < 0
        ("vector", [2.0, 0.0, 1.0, 2.0, 2.0], [0.0, 1.0], (13 / 5) ** 0.5),
    ],
)
def test_granularities_by_hand(granularity, expected, weights, optimum):
    advantages, owners = tokens_of_two_responses()
    found = combine(granularity, advantages, torch.ones(5, 1, dtype=torch.bool), owners)
    assert found.advantages.tolist() == pytest.approx(expected)
    assert found.weights.tolist() == pytest.approx(weights)
    assert found.optimum == pytest.approx(optimum)


def test_responses_have_weights_of_their_own():
    advantages = torch.tensor([[1.0, 2.0], [1.0, 4.0], [5.0, 1.0]], dtype=torch.float64)
    found = combine("sequence", advantages, torch.ones(3, 1, dtype=torch.bool), torch.tensor([0, 0, 1]))
    assert found.advantages.tolist() == [1.0, 1.0, 1.0]
    assert found.weights.tolist() == pytest.approx([2 / 3, 1 / 3])


def test_clipped_tokens_have_no_part_in_the_problem():
    advantages, owners = tokens_of_two_responses()
    kept = torch.tensor([[True], [True], [True], [False], [True]])
    # without the fourth token the means are (6, 5) / 5, and G = [[18, 3], [3, 9]]: c_1 = (9 - 3) / (18 - 6 + 9)
    assert combine("batch", advantages, kept, owners).optimum == pytest.approx(1.0)
    vector = combine("vector", advantages, kept, owners)
    assert vector.weights.tolist() == pytest.approx([2 / 7, 5 / 7])
    token = combine("token", advantages, kept, owners)
    assert token.optimum == pytest.approx(2 / 5)
    assert token.advantages[[0, 1, 2, 4]].tolist() == [1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("granularity", ["token", "sequence", "batch", "vector"])
def test_copies_of_one_objective_are_that_objective(granularity):
    one = torch.rand(40, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    owners = torch.arange(8).repeat_interleave(5)
    kept = torch.ones(40, 1, dtype=torch.bool)
    alone = combine(granularity, one, kept, owners).advantages
    assert alone.tolist() == one[:, 0].tolist()
    assert combine(granularity, one.repeat(1, 4), kept, owners).advantages.tolist() == pytest.approx(alone.tolist())


def test_given_weights():
    advantages, _ = tokens_of_two_responses()
    found = weigh(advantages, np.array([0.25, 0.75]))
    assert found.advantages.tolist() == [1.75, 1.0, 1.0, 3.0, 1.5]
    assert found.weights.tolist() == [0.25, 0.75]
