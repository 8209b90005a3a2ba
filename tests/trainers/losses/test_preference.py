"""Preference losses: the numbers of hand calculation, gradients of the written-out formulas, and TRL's functions."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from trainers.config import DpoConfig  # noqa: E402
from trainers.losses import preference as losses  # noqa: E402
from trainers.losses.preference import Answers  # noqa: E402

OPTIONS = {
    "sigmoid": {},
    "cdpo": {"label_smoothing": 0.1},
    "robust": {"label_smoothing": 0.1},
    "hinge": {},
    "ipo": {},
    "sigmoid_norm": {"beta": 5.0},
    "simpo": {"beta": 2.0, "gamma": 1.0, "reference": "none"},
    "orpo": {"lambda_or": 0.2, "reference": "none"},
}


def of(loss, **params):
    return DpoConfig(loss=loss, **{**OPTIONS.get(loss, {}), **params})


def answers(*, reference=True, seed=0):
    """Five pairs: log-probabilities with gradients, and how many tokens they are of."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(2):
        tokens = torch.randint(1, 30, (5,), generator=generator)
        logp = (-tokens * torch.rand(5, generator=generator) * 3).requires_grad_()
        apart = torch.randn(5, generator=generator) * 5
        made.append(Answers(logp, (logp.detach() + apart) if reference else torch.zeros(5), tokens))
    return made


@pytest.mark.parametrize(
    ("name", "value"),
    [("sigmoid", 0.598139), ("hinge", 0.8), ("cdpo", 0.618139), ("robust", 0.573139)],
)
def test_a_margin_of_two_by_hand(name, value):
    chosen = Answers(torch.tensor([-7.0]), torch.tensor([-8.0]), torch.tensor([4]))
    rejected = Answers(torch.tensor([-9.0]), torch.tensor([-8.0]), torch.tensor([3]))
    loss = losses.pair_loss(chosen, rejected, of(name))
    assert float(loss) == pytest.approx(value, abs=1e-6)


def test_means_per_token_by_hand():
    chosen = Answers(torch.tensor([-4.9]), torch.tensor([-5.0]), torch.tensor([10]))  # h 0.1, 0.01 a token
    rejected = Answers(torch.tensor([-2.05]), torch.tensor([-2.0]), torch.tensor([5]))  # h -0.05, -0.01 a token
    assert float(losses.pair_loss(chosen, rejected, of("ipo"))) == pytest.approx(24.8004, abs=1e-5)
    normalised = math.log1p(math.exp(-5 * 0.02))
    assert float(losses.pair_loss(chosen, rejected, of("sigmoid_norm"))) == pytest.approx(normalised, abs=1e-6)


def test_losses_without_a_reference_by_hand():
    chosen, rejected = torch.tensor([math.log(0.5)]), torch.tensor([math.log(0.2)])  # odds 1 and 1/4
    pair = [Answers(mean * 2, torch.zeros(1), torch.tensor([2])) for mean in (chosen, rejected)]
    expected = -math.log(0.5) - 0.2 * math.log(4 / 5)  # s(log 4) = 4 / 5
    assert float(losses.pair_loss(*pair, of("orpo"))) == pytest.approx(expected, abs=1e-6)
    margin = 2 * math.log(2.5) - 1
    assert float(losses.pair_loss(*pair, of("simpo"))) == pytest.approx(math.log1p(math.exp(-margin)), abs=1e-6)


def test_answers_to_be_kept_or_avoided_by_hand():
    ratio, good = torch.tensor([2.0, 2.0]), torch.tensor([True, False])
    config = of("kto", desirable_weight=1.5, undesirable_weight=0.5)
    low = 1 / (1 + math.exp(-(0.2 - 0.1)))  # s(r - z)
    assert losses.kto_shift(1.0, 0.1) == pytest.approx(0.1)
    assert losses.kto_shift(-1.0, 0.1) == 0
    found = losses.kto(ratio, good, 0.1, config).tolist()
    assert found == pytest.approx([1.5 - 1.5 * low, 0.5 - 0.5 * (1 - low)], abs=1e-6)


def written_out(name, chosen, rejected):
    """The table of formulas, with exponentials and no care for overflow."""
    s = lambda x: 1 / (1 + torch.exp(-x))  # noqa: E731
    pw, pl, nw, nl = chosen.logp, rejected.logp, chosen.tokens, rejected.tokens
    hw, hl = pw - chosen.reference, pl - rejected.reference
    d, e, beta = hw - hl, 0.1, 0.1
    odds = [torch.exp(p / n) / (1 - torch.exp(p / n)) for p, n in ((pw, nw), (pl, nl))]
    return {
        "sigmoid": -torch.log(s(beta * d)),
        "cdpo": -(1 - e) * torch.log(s(beta * d)) - e * torch.log(s(-beta * d)),
        "robust": (-(1 - e) * torch.log(s(beta * d)) + e * torch.log(s(-beta * d))) / (1 - 2 * e),
        "hinge": torch.clamp(1 - beta * d, min=0),
        "ipo": (hw / nw - hl / nl - 1 / (2 * beta)) ** 2,
        "sigmoid_norm": -torch.log(s(5 * (hw / nw - hl / nl))),
        "simpo": -torch.log(s(2 * pw / nw - 2 * pl / nl - 1)),
        "orpo": -pw / nw - 0.2 * torch.log(s(torch.log(odds[0]) - torch.log(odds[1]))),
    }[name]


@pytest.mark.parametrize("sft_weight", [0.0, 0.3])
@pytest.mark.parametrize("name", OPTIONS)
def test_loss_and_gradient_are_those_of_the_formula(name, sft_weight):
    chosen, rejected = answers(reference=name not in ("simpo", "orpo"))
    ours = losses.pair_loss(chosen, rejected, of(name, sft_weight=sft_weight))
    expected = written_out(name, chosen, rejected) - sft_weight * chosen.logp / chosen.tokens
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    both = (chosen.logp, rejected.logp)
    for one, other in zip(*(torch.autograd.grad(loss.sum(), both) for loss in (ours, expected)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_the_gradient_of_dpo_is_the_one_of_the_paper():
    chosen, rejected = answers()
    margin = (chosen.ratio - rejected.ratio).detach()
    found = torch.autograd.grad(losses.pair_loss(chosen, rejected, of("sigmoid")).sum(), (chosen.logp, rejected.logp))
    weight = 0.1 / (1 + torch.exp(0.1 * margin))  # beta s(-beta D)
    torch.testing.assert_close(found, (-weight, weight))


@pytest.mark.parametrize("name", OPTIONS)
def test_margins_beyond_all_measure_stay_finite(name):
    for chosen, rejected in ((-1e-9, -5000.0), (-5000.0, -1e-9)):
        pair = [
            Answers(torch.tensor([value], requires_grad=True), torch.zeros(1), torch.tensor([2]))
            for value in (chosen, rejected)
        ]
        loss = losses.pair_loss(*pair, of(name))
        loss.sum().backward()
        assert all(torch.isfinite(value).all() for value in (loss, pair[0].logp.grad, pair[1].logp.grad))


@pytest.mark.parametrize(("name", "margin"), [("sigmoid", 0.0), ("sigmoid_norm", 0.0), ("simpo", 1.0)])
def test_rewards_are_what_the_loss_compares(name, margin):
    chosen, rejected = answers(reference=name != "simpo")
    config = of(name)
    gap = losses.rewards(chosen, config) - losses.rewards(rejected, config)
    torch.testing.assert_close(losses.pair_loss(chosen, rejected, config), -torch.log(torch.sigmoid(gap - margin)))


def test_losses_without_a_reference_are_those_of_trl():
    pytest.importorskip("trl", reason="needs the extra `dev`")
    from accelerate import Accelerator
    from trl.experimental.cpo import CPOTrainer
    from trl.experimental.orpo import ORPOTrainer

    chosen, rejected = answers(reference=False)
    both = (chosen.logp, rejected.logp)
    means = (chosen.mean_logp, rejected.mean_logp)
    accelerator = Accelerator(cpu=True)
    cpo = SimpleNamespace(
        alpha=0.0, loss_type="simpo", simpo_gamma=1.0, beta=2.0, label_smoothing=0.0, accelerator=accelerator
    )
    theirs, *_ = CPOTrainer.cpo_loss(cpo, *means)
    orpo = SimpleNamespace(beta=0.2, accelerator=accelerator)
    ratio, *_ = ORPOTrainer.odds_ratio_loss(orpo, *means)
    for name, expected in (("simpo", theirs), ("orpo", -chosen.mean_logp - ratio)):
        ours = losses.pair_loss(chosen, rejected, of(name))
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
        gradients = [torch.autograd.grad(loss.sum(), both, retain_graph=True) for loss in (ours, expected)]
        torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


def test_kto_has_no_pairs():
    with pytest.raises(ValueError, match="single answers"):
        losses.pair_loss(*answers(), of("kto"))
