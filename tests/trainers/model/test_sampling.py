"""Answers drawn from a policy, and what it says of their tokens: against the model itself, without cache or packs."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_model import END, build_tiny_model
from tuning import random_rows

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from trainers.config import SftConfig  # noqa: E402
from trainers.data.batches import lay_out  # noqa: E402
from trainers.data.folder import Base  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.model.reference import Reference  # noqa: E402
from trainers.model.sampling import draw, sample  # noqa: E402
from trainers.model.scoring import evaluating, score, tempered_nll  # noqa: E402
from trainers.model.values import ValueHeads  # noqa: E402

PROMPTS = [np.arange(5, 5 + length) for length in (3, 9, 1, 6)]


def policy_of(base, **params):
    torch.manual_seed(0)
    return build_policy(Base(str(base)), SftConfig(**params), torch.device("cpu"), 400).eval()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    torch.set_num_threads(1)
    return build_tiny_model(tmp_path_factory.mktemp("sampling"))


@pytest.fixture(scope="module")
def policy(base):
    return policy_of(base)


def uniform(rows, length, seed=0):
    return np.random.default_rng(seed).random((rows, length))


@torch.no_grad()
def drawn_alone(policy, prompt, numbers, ends, temperature):
    """The answer by the model's own logits of everything so far, token by token."""
    ids = list(prompt)
    for number in numbers:
        logits = policy.causal(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double() / temperature
        reached = np.cumsum(torch.softmax(logits, -1).numpy())
        ids.append(int(np.searchsorted(reached, number, side="right")))
        if ids[-1] in ends:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_every_row_is_drawn_as_if_it_were_alone(policy, temperature):
    numbers, ends = uniform(4, 12), range(120)
    together = sample(policy, PROMPTS, numbers, ends, temperature=temperature)
    for row, prompt in enumerate(PROMPTS):
        assert together[row].tolist() == drawn_alone(policy, prompt, numbers[row], ends, temperature)
    assert len({len(answer) for answer in together}) > 1
    one_by_one = sample(policy, PROMPTS, numbers, ends, temperature=temperature, batch_size=1)
    assert [answer.tolist() for answer in one_by_one] == [answer.tolist() for answer in together]


def test_an_answer_has_its_end_and_nothing_after_it(policy):
    answers = sample(policy, PROMPTS, uniform(4, 30), range(200))
    for answer in answers:
        assert (answer[:-1] >= 200).all()
        assert answer[-1] < 200 or len(answer) == 30


def test_without_an_end_answers_are_as_long_as_they_may_be(policy):
    assert [len(answer) for answer in sample(policy, PROMPTS, uniform(4, 5), [])] == [5] * 4


def test_other_attention_is_back_after_it(policy):
    sample(policy, PROMPTS[:1], uniform(1, 2), [END])
    assert policy.causal.config._attn_implementation == policy.attention


def test_draws_follow_the_distribution():
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0]).expand(40_000, 4)
    numbers = torch.from_numpy((np.arange(40_000) + 0.5) / 40_000)
    shares = torch.bincount(draw(logits, numbers), minlength=4) / 40_000
    assert torch.allclose(shares, torch.softmax(logits[0], -1), atol=1e-4)


def test_what_cannot_be_drawn_never_is():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).expand(3, 5)
    assert draw(logits, torch.tensor([0.0, 0.5, 1 - 1e-16], dtype=torch.float64)).tolist() == [1, 3, 3]


def batch_of(rows):
    order = np.arange(len(rows.offsets) - 1)
    return lay_out(rows, order, [2, len(order) - 2], order, np.zeros(len(order)))


def of_full_logits(policy, rows, temperature):
    """Log-probability, entropy and slope of every target, row by row, by autograd on whole logits."""
    found = []
    for start, end in zip(rows.offsets, rows.offsets[1:], strict=False):
        ids = torch.from_numpy(rows.ids[start:end].astype(np.int64))
        states = policy.decoder(input_ids=ids[None], use_cache=False).last_hidden_state[0].detach()
        for at in range(1, len(ids)):
            if rows.mask[start + at]:
                state = states[at - 1].clone().requires_grad_()
                logp = torch.log_softmax(policy.head(state) / temperature, -1)
                (slope,) = torch.autograd.grad(logp[ids[at]], state)
                entropy = -(logp.exp() * logp).sum()
                found.append([logp[ids[at]].item(), entropy.item(), slope.square().sum().item()])
    return np.array(found).T


@pytest.mark.parametrize(("temperature", "chunk"), [(1.0, None), (0.7, 5)])
def test_scores_are_those_of_whole_logits(base, temperature, chunk):
    policy, rows = policy_of(base, chunk_tokens=chunk), random_rows(5, 20)
    batch = batch_of(rows)
    found, expected = score(policy, batch, temperature), of_full_logits(policy, rows, temperature)
    for one, other in zip((found.logp, found.entropy, found.reach), expected, strict=True):
        assert one.numpy() == pytest.approx(other, rel=1e-4, abs=1e-5)
    hidden = policy.hidden(batch.input_ids, batch.position_ids).flatten(0, 1)[batch.sources]
    nll, _ = tempered_nll(policy, hidden, batch.targets, temperature)
    assert torch.equal(-nll.detach(), found.logp)  # to the bit: the ratio of a policy to itself is 1


def test_value_heads_start_from_nothing_and_read_the_states(policy):
    batch, heads = batch_of(random_rows(3, 10)), ValueHeads(64, 2)
    assert score(policy, batch, heads=heads).values.abs().max() == 0
    torch.nn.init.ones_(heads.layer.weight)
    hidden = policy.hidden(batch.input_ids, batch.position_ids).flatten(0, 1)[batch.sources]
    assert torch.allclose(
        score(policy, batch, heads=heads).values, hidden.sum(-1, keepdim=True).expand(-1, 2), atol=1e-5
    )


@pytest.mark.parametrize("params", [{}, {"lora_rank": 4}])
def test_the_reference_stays_where_the_policy_was(base, params):
    policy = policy_of(base, **params)
    batch, reference = batch_of(random_rows(3, 10)), Reference(policy)
    before = score(policy, batch).logp
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter += 0.05
    moved = score(policy, batch).logp
    with reference.policy() as frozen:
        assert torch.allclose(score(frozen, batch).logp, before, atol=1e-6)
    assert (moved - before).abs().max() > 1e-3
    assert torch.equal(score(policy, batch).logp, moved)


def test_evaluating_ends(policy):
    policy.train()
    with evaluating(policy):
        assert not policy.causal.training
    assert policy.causal.training
    policy.eval()
