"""NEFTune: as large as the paper says for each row by itself, only in training, the same for the same seed."""

from __future__ import annotations

import pytest
from tiny_model import build_tiny_model
from tuning import random_rows

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from trainers.config import SftConfig  # noqa: E402
from trainers.data.folder import Base  # noqa: E402
from trainers.data.plan import Plan  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.model.noise import with_noise  # noqa: E402
from trainers.sft import NextToken  # noqa: E402


def test_the_noise_of_a_row_has_the_size_of_its_own_length():
    torch.manual_seed(0)
    positions = torch.cat([torch.arange(4), torch.arange(100)])[None]
    noise = with_noise(torch.zeros(1, 104, 50), positions, 5.0)[0]
    for part, length in ((noise[:4], 4), (noise[4:], 100)):
        bound = 5 / (length * 50) ** 0.5
        assert part.abs().max() <= bound
        assert float(part.std()) == pytest.approx(bound / 3**0.5, rel=0.1)


def test_a_policy_is_noisy_in_training_alone(tmp_path):
    base = Base(str(build_tiny_model(tmp_path / "base")))
    policy = build_policy(base, SftConfig(), torch.device("cpu"), 400)
    plan = Plan(random_rows(8, 20), SftConfig(max_length=64), 1)
    objective, window = NextToken(plan, "token_mean"), plan.window(0)
    (batch,) = plan.batches(window, objective.weights(window))

    def loss(alpha, seed=0):
        torch.manual_seed(seed)
        policy.neftune_alpha = alpha
        return float(policy(batch, objective).loss.detach())

    assert loss(0.0) != loss(5.0)
    assert loss(5.0) == loss(5.0)
    assert loss(5.0, seed=1) != loss(5.0)
    policy.eval()
    assert loss(5.0) == loss(0.0)
