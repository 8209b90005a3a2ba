"""The cycle closes: a toy policy over five canned answers, and a ranker that learns from correct demonstrations.

The pure pieces are the operator's and the trainer's own: agreement, labels, FIFO of demonstrations, RRHF's loss.
"""

import numpy as np
import pytest

from engine.operators.generators.cyclealign import labels
from engine.registry import operator
from engine.statistics.agreement import ranking_of

torch = pytest.importorskip("torch")
rank_loss = pytest.importorskip("trainers.losses.ranking")

REWARDS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
START = [1.2, 0.6, 0.3, 0.0, 0.0]  # the start prefers the worst answers
PARAMS = operator("generate", "cyclealign").params(n=4, dynamic_demos=3, static_demos=1)
PROMPTS, CYCLES = 24, 5


def reward(logits):
    """What the policy's answers are worth on average."""
    return float(torch.softmax(logits, 0).numpy() @ REWARDS)


def cases(logits, demos, rng):
    """The rankings of one cycle, and its agreements as (good for a demonstration, in the true order)."""
    found, agreed = [], []
    chances = torch.softmax(logits, 0).double().numpy()
    noise = 0.8 / (1 + PARAMS.static_demos + sum(demos))  # the more correct ones are shown, the less the ranker errs
    for _ in range(PROMPTS):
        answers = list(dict.fromkeys(rng.choice(5, PARAMS.n, p=chances / chances.sum()).tolist()))
        if len(answers) < 2:
            continue
        judged = ranking_of((REWARDS[answers] + noise * rng.standard_normal(len(answers))).tolist())
        own = ranking_of(logits[answers].tolist())
        label = labels(judged, own, PARAMS)
        found.append([answers[i] for i in label["train_ranking"]])
        order = [REWARDS[answers[i]] for i in label["agreement_ranking"]]
        agreed += [order == sorted(order, reverse=True)] if label["used_as_demo"] else []
    return found, agreed


def trained(logits, rankings, steps=12, rate=0.05):
    """The policy after gradient steps of RRHF."""
    counts = torch.tensor([len(ranking) for ranking in rankings])
    order = rank_loss.padded(torch.tensor([i for ranking in rankings for i in ranking]), counts)
    policy = logits.clone().requires_grad_()
    for _ in range(steps):
        p = torch.log_softmax(policy, 0)[order]
        (gradient,) = torch.autograd.grad((rank_loss.rrhf(p, counts) - p[:, 0]).mean(), policy)
        policy = (policy - rate * gradient).detach().requires_grad_()
    return policy.detach()


def run(seed, *, cycles):
    """Rewards from cycle to cycle; without cycles, all rankings are made at first, of the start's answers."""
    rng, logits, demos = np.random.default_rng(seed), torch.tensor(START), []
    rewards, once = [reward(logits)], [cases(logits, [], rng)[0] for _ in range(CYCLES)]
    for i in range(CYCLES):
        rankings, agreed = cases(logits, demos, rng) if cycles else (once[i], [])
        demos = [*demos, *agreed][-PARAMS.dynamic_demos :]
        logits = trained(logits, rankings)
        rewards.append(reward(logits))
    return rewards


def test_rewards_rise_from_cycle_to_cycle_and_beyond_the_same_budget_without_cycles():
    cycled, at_once = (np.mean([run(seed, cycles=cycles) for seed in range(6)], 0) for cycles in (True, False))
    start, first, *_, last = cycled
    assert last > first > start
    assert last > at_once[-1] > start
