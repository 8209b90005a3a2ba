"""Checkpoints: all of the state comes back, half of one is never taken for one, and another training's is refused."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tiny_model import build_tiny_model
from tuning import random_rows

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from trainers.config import SftConfig  # noqa: E402
from trainers.data.folder import Base  # noqa: E402
from trainers.data.plan import Plan  # noqa: E402
from trainers.errors import HandoffError  # noqa: E402
from trainers.loop import checkpoint  # noqa: E402
from trainers.loop.metrics import Metrics  # noqa: E402
from trainers.loop.optimizers import Optimizers  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.sft import NextToken  # noqa: E402

CONFIG = SftConfig(optimizer="muon", learning_rate=1e-2, max_length=64)
IDENTITY = {"data": "abc", "params": {"epochs": 1.0, "save_steps": 2}}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Base:
    return Base(str(build_tiny_model(tmp_path_factory.mktemp("checkpoint") / "base")))


def learner(base):
    policy = build_policy(base, CONFIG, torch.device("cpu"), 400)
    return policy, Optimizers(policy, CONFIG, 10)


def learn(policy, optimizers, *steps):
    plan = Plan(random_rows(30, 20), CONFIG, 1)
    objective, window = NextToken(plan, "token_mean"), plan.window(0)
    for step in steps:
        for batch in plan.batches(window, objective.weights(window)):
            policy(batch, objective).loss.backward()
        optimizers.step(step)


def saved(out, policy, optimizers, step, keep=2):
    partial = checkpoint.partial_of(out, step)
    checkpoint.begin(partial)
    checkpoint.save_process(partial, 0)
    record = {"step": step, "identity": IDENTITY}
    checkpoint.save_shared(partial, checkpoint.weights(policy), optimizers.state(), Metrics(NextToken.rows), record)
    return checkpoint.finish(partial, out, step, keep)


def test_weights_and_optimisers_go_on_as_if_never_stopped(base, tmp_path):
    policy, optimizers = learner(base)
    learn(policy, optimizers, 0, 1)
    folder = saved(tmp_path, policy, optimizers, 2)
    learn(policy, optimizers, 2, 3)
    other, others = learner(base)
    checkpoint.load(folder, 0, other, others, Metrics(NextToken.rows))
    learn(other, others, 2, 3)
    for (name, one), two in zip(policy.named_parameters(), other.parameters(), strict=True):
        assert one.equal(two), name


def test_random_numbers_go_on_as_if_never_stopped(base, tmp_path):
    def drawn():
        return random.random(), np.random.rand(), np.random.randn(), float(torch.rand(()))

    policy, optimizers = learner(base)
    drawn()
    folder = saved(tmp_path, policy, optimizers, 1)
    expected = drawn()
    checkpoint.load(folder, 0, policy, optimizers, Metrics(NextToken.rows))
    assert drawn() == expected


def test_half_a_checkpoint_is_none(base, tmp_path):
    policy, optimizers = learner(base)
    whole = saved(tmp_path, policy, optimizers, 9)
    torn = checkpoint.partial_of(tmp_path, 10)
    checkpoint.begin(torn)
    checkpoint.save_process(torn, 0)
    assert checkpoint.newest(tmp_path) == whole
    assert saved(tmp_path, policy, optimizers, 10) == checkpoint.newest(tmp_path)
    assert not torn.exists()


def test_only_the_newest_are_kept(base, tmp_path):
    policy, optimizers = learner(base)
    assert checkpoint.newest(tmp_path) is None
    for step in (999_998, 999_999, 1_000_000):  # of seven digits, after those of six in order, not in the alphabet
        saved(tmp_path, policy, optimizers, step)
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"step-999999", "step-1000000"}
    assert checkpoint.newest(tmp_path).name == "step-1000000"


def test_a_checkpoint_of_another_training_is_refused_with_what_differs(base, tmp_path):
    folder = saved(tmp_path, *learner(base), 3)
    assert checkpoint.read_record(folder, {**IDENTITY, "params": {"epochs": 1.0, "save_steps": 5}}) == 3
    with pytest.raises(HandoffError) as refusal:
        checkpoint.read_record(folder, {"data": "xyz", "params": {"epochs": 2.0, "save_steps": 2}})
    assert "data was 'abc' and is 'xyz'; params.epochs was 1.0 and is 2.0" in str(refusal.value)


def test_nothing_in_a_checkpoint_runs_when_it_is_read(base, tmp_path):
    policy, optimizers = learner(base)
    folder = saved(tmp_path, policy, optimizers, 1)
    torch.save({"torch": print}, folder / "random-0.pt")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        checkpoint.load(folder, 0, policy, optimizers, Metrics(NextToken.rows))
