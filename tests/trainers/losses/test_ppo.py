"""PPO with several objectives: by hand, token for token, and against the formula with one objective."""

from __future__ import annotations

import math

import pytest
import torch

from trainers.losses.pareto import combine
from trainers.losses.ppo import gae, kept, noon, surrogate, token_rewards, value_loss, whiten

GRANULARITIES = ["token", "sequence", "batch", "vector"]


def of(*values):
    return torch.tensor(values, dtype=torch.float64)


def policy_loss(logp, old, advantages, granularity="token", clip=0.2, responses=1):
    """A step's loss as the trainer puts it together; `advantages` `[N, n]` before the Noon clip."""
    ratios = (logp - old).exp()
    clipped = noon(advantages)
    owners = torch.arange(responses).repeat_interleave(len(logp) // responses)
    found = combine(granularity, clipped, kept(clipped, ratios.detach(), clip), owners)
    return -surrogate(found.advantages, ratios, clip).mean()


def noon_ppo(logp, old, advantages, clip=0.2):
    """Noon PPO of one objective as the paper writes it: `min(u A, clip(u) A)` with `A = max(A', 0)`."""
    ratios, positive = (logp - old).exp(), advantages.clamp(min=0)
    return -torch.minimum(ratios * positive, ratios.clamp(1 - clip, 1 + clip) * positive).mean()


def random_step(n, seed=0, tokens=24):
    chance = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=chance, dtype=torch.float64)  # noqa: E731
    logp = (draw(tokens) * 0.3).requires_grad_()
    return logp, torch.zeros(tokens, dtype=torch.float64), draw(tokens, n)


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_one_objective_is_noon_ppo(granularity):
    logp, old, advantages = random_step(1)
    ours, theirs = policy_loss(logp, old, advantages, granularity, responses=4), noon_ppo(logp, old, advantages[:, 0])
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    gradients = [torch.autograd.grad(loss, logp)[0] for loss in (ours, theirs)]
    assert torch.allclose(*gradients, atol=1e-12)
    assert gradients[0].abs().max() > 0


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("copies", [2, 5])
def test_copies_of_an_objective_are_ppo_of_one(granularity, copies):
    logp, old, advantages = random_step(1, seed=1)
    better = advantages.abs() + 0.1
    logp = (logp.detach() * 0.1).requires_grad_()  # ratios of 0.9 to 1.1: nothing is clipped
    many = policy_loss(logp, old, better.repeat(1, copies), granularity, responses=4)
    alone = -((logp - old).exp() * better[:, 0]).mean()
    assert torch.allclose(*(torch.autograd.grad(loss, logp)[0] for loss in (many, alone)), atol=1e-12)


@pytest.mark.parametrize("granularity", ["token", "sequence", "batch", "batch_scalar"])
def test_an_objective_without_any_advantage_stops_the_step(granularity):
    logp = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    advantages = of([-1.0, 3.0]).expand(6, 2)
    loss = policy_loss(logp, torch.zeros(6, dtype=torch.float64), advantages, granularity, responses=2)
    assert loss.item() == 0
    assert torch.autograd.grad(loss, logp)[0].tolist() == [0.0] * 6


def test_three_tokens_by_hand():
    ratios = of(1.1, 1.2, 1.5)
    advantages = of([2.0, 1.0], [-1.0, 4.0], [3.0, 5.0])
    positive = noon(advantages)
    assert positive.tolist() == [[2.0, 1.0], [0.0, 4.0], [3.0, 5.0]]
    # at exactly 1 + eps a token is kept, above it is not
    assert kept(positive, ratios, 0.2).tolist() == [[True, True], [True, True], [False, False]]
    # one objective each: 2 * 1.1 + 0 + 3 * 1.2, and 1 * 1.1 + 4 * 1.2 + 5 * 1.2
    losses = [surrogate(positive[:, i], ratios, 0.2).sum().item() for i in (0, 1)]
    assert losses == pytest.approx([5.8, 11.9], abs=1e-12)
    # PAMA by token: s = (1, 0, even between the clipped (3, 5)), each times (1.1, 1.2, 1.2)
    logp = ratios.log().requires_grad_()
    loss = policy_loss(logp, torch.zeros(3, dtype=torch.float64), advantages)
    assert loss.item() == pytest.approx(-(1 * 1.1 + 0 + 4 * 1.2) / 3, abs=1e-12)
    assert torch.autograd.grad(loss, logp)[0].tolist() == pytest.approx([-1.1 / 3, 0, 0], abs=1e-12)


def test_a_ratio_at_the_clip_has_its_gradient():
    for ratio, expected in ((1.2, 2.0), (1.2 + 1e-9, 0.0), (0.5, 2.0)):
        u = of(ratio).requires_grad_()
        (slope,) = torch.autograd.grad(surrogate(of(2.0), u, 0.2).sum(), u)
        assert slope.item() == expected


def test_without_the_noon_clip_it_is_ppo():
    logp, old, advantages = random_step(1, seed=2)
    ratios, signed = (logp - old).exp(), advantages[:, 0]
    theirs = torch.minimum(ratios * signed, ratios.clamp(0.8, 1.2) * signed)
    ours = surrogate(signed, ratios, 0.2)
    assert torch.allclose(ours, theirs)
    slopes = [torch.autograd.grad(loss.sum(), logp, retain_graph=True)[0] for loss in (ours, theirs)]
    assert torch.allclose(*slopes)
    assert ((slopes[0] != 0) == kept(advantages, ratios.detach(), 0.2)[:, 0]).all()


def test_token_rewards_by_hand():
    mask = torch.tensor([[True, True, True], [True, False, False]])
    logp, reference = of([-1.0, -2.0, -3.0], [-1.0, 9.0, 9.0]), of([-1.5, -2.0, -2.0], [-3.0, 0.0, 0.0])
    found = token_rewards(of([10.0, 20.0], [1.0, 2.0]), logp, reference, mask, beta=0.1)
    assert found[0].flatten().tolist() == pytest.approx([-0.05, -0.05, 0.0, 0.0, 10.1, 20.1])
    assert found[1].flatten().tolist() == pytest.approx([0.8, 1.8, 0.0, 0.0, 0.0, 0.0])


def test_gae_by_hand():
    mask = torch.tensor([[True, True, True], [True, True, False]])
    rewards = of([0.0, 0.0, 1.0], [1.0, 2.0, 50.0])[..., None]
    values = of([0.5, 0.25, 0.5], [1.0, 1.0, 70.0])[..., None]
    advantages, returns = gae(rewards, values, mask, gamma=0.5, lam=0.5)
    # errors: 0.125 - 0.5, 0.25 - 0.25, 1 - 0.5; then A_t = error + 0.25 A_t+1
    assert advantages[0, :, 0].tolist() == pytest.approx([-0.375 + 0.25 * 0.125, 0.125, 0.5])
    # the second response ends after two tokens, whatever stands behind them
    assert advantages[1, :, 0].tolist() == pytest.approx([0.5 + 0.25 * 1.0, 1.0, 0.0])
    assert returns[1, :, 0].tolist() == pytest.approx([1.75, 2.0, 0.0])


def test_gae_of_lambda_one_is_the_return_less_the_value():
    chance = torch.Generator().manual_seed(0)
    rewards, values = (torch.randn(4, 9, 3, generator=chance, dtype=torch.float64) for _ in range(2))
    mask = torch.arange(9) < torch.tensor([9, 1, 5, 3])[:, None]
    advantages, returns = gae(rewards, values, mask, gamma=1.0, lam=1.0)
    for row, length in enumerate((9, 1, 5, 3)):
        for at in range(length):
            total = rewards[row, at:length].sum(0)
            assert torch.allclose(returns[row, at], total)
            assert torch.allclose(advantages[row, at], total - values[row, at])


def test_each_objective_is_whitened_by_itself():
    found = whiten(torch.stack([of(1.0, 2.0, 3.0), of(100.0, 100.0, 400.0), of(5.0, 5.0, 5.0)], dim=1))
    root = math.sqrt(1.5)
    assert found[:, 0].tolist() == pytest.approx([-root, 0, root])
    assert found[:, 1].tolist() == pytest.approx([-math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(2)])
    assert found[:, 2].tolist() == [0.0, 0.0, 0.0]


def test_values_of_n_objectives_weigh_as_one():
    values = of([1.0, 3.0], [0.0, 0.0]).requires_grad_()
    losses = value_loss(values, of([0.0, 0.0], [0.0, 2.0]))
    assert losses.tolist() == [(1 + 9) / 4, 1.0]
    assert torch.autograd.grad(losses.sum(), values)[0].tolist() == [[0.5, 1.5], [0.0, -1.0]]
