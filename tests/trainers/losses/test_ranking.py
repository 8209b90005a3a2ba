"""Losses of rankings: the numbers of hand calculation, formulas written out pair by pair, finite differences."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from trainers.losses.ranking import agreement, padded, pro, rrhf, scores  # noqa: E402

COUNTS = torch.tensor([3, 2, 5, 1])


def one(*values):
    return torch.tensor([values], dtype=torch.float64)


def lists(seed=0, spread=2.0):
    """Four rankings of different lengths, of scores with gradients; the width of the matrix is 5."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(int(COUNTS.sum()), generator=generator, dtype=torch.float64) * spread
    return padded(values, COUNTS).requires_grad_()


def falling(seed=1):
    """Rewards that fall along each of the rankings."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(4, 5, generator=generator, dtype=torch.float64).sort(dim=1, descending=True).values * 3


def each(p):
    return [row[:count].tolist() for row, count in zip(p.detach(), COUNTS.tolist(), strict=True)]


def rrhf_by_hand(p):
    return sum(max(0.0, p[i] - p[j]) for i in range(len(p)) for j in range(i))


def pro_by_hand(p, r=None):
    total = 0.0
    for k in range(len(p) - 1):
        heat = [1.0] * len(p) if r is None else [math.inf] * (k + 1) + [1 / (r[k] - r[i]) for i in range(k + 1, len(p))]
        own = p[k] / min(heat)
        total -= own - math.log(math.exp(own) + sum(math.exp(p[i] / heat[i]) for i in range(k + 1, len(p))))
    return total


def test_three_answers_by_hand():
    p, three = one(-1.0, -0.5, -2.0), torch.tensor([3])
    assert float(rrhf(p, three)) == 0.5  # of the three pairs only the first two answers are the wrong way round
    expected = math.log(1 + math.exp(0.5) + math.exp(-1)) + math.log(1 + math.exp(-1.5))
    assert float(pro(p, three)) == pytest.approx(expected, abs=1e-12)
    assert float(pro(p, three)) == pytest.approx(1.306, abs=5e-4)
    assert [int(found) for found in agreement(p, three)] == [2, 3]


def test_a_ranking_that_the_scores_agree_with_costs_rrhf_nothing_and_pro_something():
    p = one(-0.5, -1.0, -2.0).requires_grad_()
    loss = rrhf(p, torch.tensor([3]))
    loss.sum().backward()
    assert loss.item() == 0.0
    assert p.grad.abs().max() == 0.0
    assert pro(p, torch.tensor([3])).item() > 0


def test_rankings_of_different_lengths_are_those_written_out():
    p, r = lists(), falling()
    assert rrhf(p, COUNTS).tolist() == pytest.approx([rrhf_by_hand(row) for row in each(p)], abs=1e-12)
    assert pro(p, COUNTS).tolist() == pytest.approx([pro_by_hand(row) for row in each(p)], abs=1e-12)
    expected = [pro_by_hand(*pair) for pair in zip(each(p), each(r), strict=True)]
    assert pro(p, COUNTS, r).tolist() == pytest.approx(expected, abs=1e-12)
    assert rrhf(p, COUNTS)[3] == pro(p, COUNTS)[3] == 0, "one answer has no order"


@pytest.mark.parametrize("width", [5, 9])
@pytest.mark.parametrize("rest", [0.0, 7.0, -300.0])
def test_what_stands_behind_a_ranking_means_nothing(width, rest):
    p, held = lists(), torch.arange(width) < COUNTS[:, None]
    wide = torch.full((4, width), rest, dtype=torch.float64).masked_scatter(held, p[held[:, :5]])
    rewards = torch.full((4, width), rest, dtype=torch.float64).masked_scatter(held, falling()[held[:, :5]])
    for loss in (rrhf, pro):
        torch.testing.assert_close(loss(wide, COUNTS), loss(p, COUNTS))
    torch.testing.assert_close(pro(wide, COUNTS, rewards), pro(p, COUNTS, falling()))
    for one_, other in zip(agreement(wide, COUNTS), agreement(p, COUNTS), strict=True):
        assert one_.tolist() == other.tolist()


@pytest.mark.parametrize(
    "loss", [rrhf, pro, lambda p, counts: pro(p, counts, falling())], ids=["rrhf", "pro", "reward_gaps"]
)
def test_gradients_are_finite_differences(loss):
    assert torch.autograd.gradcheck(lambda p: loss(p, COUNTS), lists())


@pytest.mark.parametrize("rewards", [False, True])
def test_scores_beyond_all_measure_stay_finite(rewards):
    for values in ((-1e-9, -5000.0, -4000.0), (-5000.0, -1e-9, -4000.0)):
        p = one(*values).requires_grad_()
        loss = pro(p, torch.tensor([3]), one(900.0, 2.0, 2.0) if rewards else None)
        loss.sum().backward()
        assert torch.isfinite(loss).all()
        assert torch.isfinite(p.grad).all()


def test_answers_with_one_reward_are_not_told_apart():
    p = one(-1.0, -2.0).requires_grad_()
    pro(p, torch.tensor([2]), one(3.0, 3.0)).sum().backward()
    assert p.grad.abs().max() == 0


def test_a_tie_is_wrong():
    right, pairs = agreement(one(-1.0, -1.0, -2.0), torch.tensor([3]))
    assert (int(right), int(pairs)) == (2, 3)


def test_a_score_is_a_mean_over_the_answers_own_tokens():
    logp, tokens = torch.tensor([-6.0, -12.0, -3.0]), torch.tensor([3, 6, 1])
    assert scores(logp, tokens, 1.0).tolist() == [-2.0, -2.0, -3.0], "twice as long, twice as unlikely: the same"
    assert scores(logp, tokens, 0.0).tolist() == logp.tolist()
    assert scores(logp, tokens, 0.5).tolist() == pytest.approx([-6 / 3**0.5, -12 / 6**0.5, -3.0])


def test_lists_come_back_in_their_places():
    values = torch.arange(11.0, requires_grad=True)
    found = padded(values, COUNTS)
    assert each(found) == [[0, 1, 2], [3, 4], [5, 6, 7, 8, 9], [10]]
    assert found[0, 3:].tolist() == [0, 0]
    (found * found).sum().backward()
    assert values.grad.tolist() == [2.0 * i for i in range(11)]
