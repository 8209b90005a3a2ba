"""One prompt before both answers: the same losses and gradients as with two, fewer tokens, and who sees whom."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_model import build_tiny_model
from tuning import pairs, random_rows, rows_of, write_handoff

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from accelerate import Accelerator  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from trainers.config import DpoConfig  # noqa: E402
from trainers.data.folder import Base  # noqa: E402
from trainers.data.plan import Plan  # noqa: E402
from trainers.data.shared import share_prompts  # noqa: E402
from trainers.dpo import DPO, Pairs  # noqa: E402
from trainers.errors import HandoffError  # noqa: E402
from trainers.loop.command import train  # noqa: E402
from trainers.model.branches import branching, mask  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.model.policy import Policy  # noqa: E402
from trainers.objectives.reference import live  # noqa: E402

CPU = torch.device("cpu")
DEVICES = [CPU, *([torch.device("cuda")] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    torch.set_num_threads(1)
    return build_tiny_model(tmp_path_factory.mktemp("shared") / "base")


def random_pairs(count, seed=0):
    """Rows of ids, two by two behind one prompt."""
    chance = np.random.default_rng(seed)
    rows, targets = [], []
    for _ in range(count):
        prompt = chance.integers(3, 400, chance.integers(2, 20)).tolist()
        for _ in range(2):
            answer = chance.integers(3, 400, chance.integers(1, 12)).tolist()
            rows.append(prompt + answer)
            targets.append([False] * len(prompt) + [True] * len(answer))
    return rows_of(*rows, targets=targets)


def test_the_second_answer_sees_the_prompt_and_itself():
    # a prompt of two, answers of two and three; another item of one and one and one; padding
    positions = torch.tensor([[0, 1, 2, 3, 2, 3, 4, 0, 1, 1, 0, 1]])
    seen = mask(positions, "sdpa")[0, 0].int().tolist()
    assert ["".join(map(str, row)) for row in seen] == [
        "100000000000",
        "110000000000",
        "111000000000",
        "111100000000",
        "110010000000",
        "110011000000",
        "110011100000",
        "000000010000",
        "000000011000",
        "000000010100",
        "000000000010",
        "000000000011",
    ]


def test_tokens_are_laid_out_with_one_prompt():
    tokens = rows_of([5, 6, 7, 8], [5, 6, 9], targets=[[False, False, True, True], [False, False, True]])
    plan = Plan(share_prompts(tokens), DpoConfig(share_prompt=True, max_length=8), 0, together=2)
    window = plan.window(0)
    (batch,) = plan.batches(window, np.zeros(2))
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 9]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 2]]
    assert batch.targets.tolist() == [7, 8, 9]
    assert batch.sources.tolist() == [1, 2, 1]  # the last token of the prompt predicts the first of either answer
    assert batch.owners.tolist() == [0, 0, 1]
    assert (plan.lengths.tolist(), plan.targets.tolist()) == ([4, 1], [2, 1])


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("params", [{}, {"packing": False}, {"loss": "ipo"}, {"gradient_checkpointing": True}])
def test_losses_and_gradients_are_those_of_two_prompts(base, params, device):
    found, tokens = [], random_pairs(12)
    for shared in (True, False):
        config = DpoConfig(share_prompt=shared, max_length=40, dtype="float32", **params)
        plan = Plan(share_prompts(tokens) if shared else tokens, config, 3, together=2)
        policy = build_policy(Base(str(base)), config, device, 400)
        objective = Pairs(plan, config, live(policy, plan, Accelerator(cpu=device == CPU)), device)
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.add_(torch.randn(parameter.shape).to(device), alpha=0.01)
        window, sums = plan.window(0), {}
        for batch in plan.batches(window, objective.weights(window)):
            scored = policy(batch.to(device), objective)
            scored.loss.backward()
            nll = batch.by_row(scored.nll.cpu())
            sums |= dict(zip(batch.rows.tolist(), nll.tolist(), strict=True))
        assert len(sums) == 24
        found.append((sums, {name: parameter.grad for name, parameter in policy.named_parameters()}))
    for row, nll in found[0][0].items():
        assert nll == pytest.approx(found[1][0][row], abs=1e-4)
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(gradient, found[1][1][name], atol=1e-4, rtol=1e-4, msg=name)


def test_the_command_sees_each_prompt_once(base, tmp_path):
    tokens = {}
    for shared in (True, False):
        folder = write_handoff(
            tmp_path / str(shared), base, pairs(16), trainer="dpo", share_prompt=shared, max_length=64, epochs=2,
            batch_size=100, learning_rate=1e-2,
        )  # fmt: skip
        assert train(DPO, folder, tmp_path / "out" / str(shared))
        steps = pq.read_table(tmp_path / "out" / str(shared) / "train_steps.parquet").to_pylist()
        assert steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
        tokens[shared] = steps
    assert tokens[True][0]["tokens"] < tokens[False][0]["tokens"]
    assert tokens[True][0]["target_tokens"] == tokens[False][0]["target_tokens"]
    for name in ("loss", "rewards/chosen", "rewards/rejected", "kl"):
        assert tokens[True][1][name] == pytest.approx(tokens[False][1][name], abs=1e-3)


def test_prompts_that_differ_are_not_shared():
    with pytest.raises(HandoffError, match=r"renders 1 prompts otherwise .*\(r2, "):
        share_prompts(
            rows_of([5, 6, 7], [5, 6, 8], [5, 6, 7], [5, 9, 8], targets=[[False, False, True]] * 4),
        )


def test_a_model_that_can_not_is_refused():
    class Shape:
        sliding_window = 128

    with pytest.raises(HandoffError, match="set share_prompt: false"):
        branching(CPU, Shape())


def test_rows_without_branches_are_seen_as_ever(base):
    tokens = random_rows(9, 20)
    plan = Plan(tokens, DpoConfig(max_length=32), 0)
    (batch, *_) = plan.batches(plan.window(0), np.zeros(9))
    item = (batch.position_ids == 0).cumsum(1)
    length = item.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    assert mask(batch.position_ids, "sdpa")[:, 0].equal((item[:, :, None] == item[:, None, :]) & causal)


@pytest.mark.slow
def test_flexattention_sees_what_the_dense_mask_lets_be_seen(base):
    positions = torch.tensor([[0, 1, 2, 3, 2, 3, 4, 0, 1, 1, 0, 1]])
    ids, found = torch.arange(3, 15)[None], []
    for attention in ("sdpa", "flex_attention"):  # the latter on a CPU without gradients
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation=attention)
        policy = Policy(model, dtype=torch.float32, attention=attention).eval().requires_grad_(False)
        policy.branching = True
        found.append(policy.hidden(ids, positions))
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)
