"""Steps: the same gradients however a step is cut into passes and processes, the rate by hand, and a stop on NaN."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_model import build_tiny_model
from tuning import random_rows

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from accelerate import Accelerator  # noqa: E402

from trainers.config import SftConfig  # noqa: E402
from trainers.data.folder import Base  # noqa: E402
from trainers.data.plan import Plan  # noqa: E402
from trainers.loop.metrics import Work  # noqa: E402
from trainers.loop.optimizers import Optimizers  # noqa: E402
from trainers.loop.steps import Trainer, TrainingError  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.sft import LongCe, NextToken  # noqa: E402


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Base:
    return Base(str(build_tiny_model(tmp_path_factory.mktemp("loop") / "base")))


def trainer_of(base, tokens, **params) -> Trainer:
    config = SftConfig(**{"max_length": 64, "batch_size": 16, "learning_rate": 1e-3, "epochs": 3, **params})
    accelerator = Accelerator(cpu=True)
    plan = Plan(tokens, config, 3)
    policy = build_policy(base, config, accelerator.device, 400)
    work = Work(policy.causal, 20.0, accelerator.device, 1)
    optimizers, objective = Optimizers(policy, config, plan.steps), NextToken(plan, config.loss)
    return Trainer(accelerator, accelerator.prepare_model(policy), optimizers, objective, work)


def gradients(trainer, step):
    trainer.model.zero_grad()
    window = trainer.plan.window(step)
    trainer._accumulate(window, trainer.objective.batches(trainer, window), lambda: False)
    return {name: parameter.grad.clone() for name, parameter in trainer.model.named_parameters()}


@pytest.mark.parametrize("loss", ["token_mean", "per_sequence_mean", "sum"])
def test_gradients_do_not_depend_on_how_a_step_is_cut(base, loss):
    tokens = random_rows(100, 30)
    for step in (0, -1):  # the last of the epoch is ragged
        found = []
        for size in (16, 4, 1):
            trainer = trainer_of(base, tokens, micro_batch_size=size, loss=loss)
            found.append(gradients(trainer, step % trainer.plan.steps_per_epoch))
        largest = max(float(grad.abs().max()) for grad in found[0].values())
        for other in found[1:]:
            for name, grad in found[0].items():
                torch.testing.assert_close(other[name], grad, atol=1e-5 * max(1, largest), rtol=0, msg=name)


def test_the_loss_is_the_same_however_a_step_is_cut_packed_or_padded(base):
    tokens, losses = random_rows(16, 30), []
    for params in ({"micro_batch_size": 1}, {"micro_batch_size": 8}, {"micro_batch_size": 8, "packing": False}):
        trainer = trainer_of(base, tokens, **params)
        window = trainer.plan.window(0)
        losses.append(trainer._accumulate(window, trainer.objective.batches(trainer, window), lambda: False)[0])
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)


def test_long_ce_divides_each_pass_by_the_running_mean_whatever_step_it_starts_at(base):
    tokens = random_rows(100, 30)

    def trainer():
        made = trainer_of(base, tokens, batch_size=3, micro_batch_size=2, loss="long_ce_ema")
        made.objective = LongCe(made.plan)
        return made

    straight, m, z = trainer(), 0.0, 0.0
    for step in range(3):
        window = straight.plan.window(step)
        passes = straight.objective.batches(straight, window)
        for batch in passes:
            m, z = 0.9 * m + len(batch.targets), 0.9 * z + 1
            assert batch.weights.tolist() == pytest.approx([z / (m * len(passes))] * len(batch.rows))
    late = trainer()
    (resumed, *_) = late.objective.batches(late, late.plan.window(2))
    (expected, *_) = passes
    assert resumed.weights.equal(expected.weights)


def test_checkpointed_activations_change_no_gradient(base):
    tokens = random_rows(30, 30)
    plain, again = (gradients(trainer_of(base, tokens, gradient_checkpointing=on), 0) for on in (False, True))
    for name, grad in plain.items():
        torch.testing.assert_close(again[name], grad, atol=1e-6, rtol=1e-5, msg=name)


def test_loss_is_the_mean_of_transformers_own_losses(base):
    tokens = random_rows(12, 30)
    (step,) = trainer_of(base, tokens, packing=False).steps(0, lambda: True)
    model = build_policy(base, SftConfig(), torch.device("cpu"), 400).causal.requires_grad_(False)
    total = 0.0
    for place, row in enumerate(step.window.rows):
        start, end = tokens.offsets[row : row + 2]
        ids = torch.tensor(tokens.ids[start:end].astype("int64"))[None]
        labels = torch.where(torch.tensor(tokens.mask[start:end])[None], ids, -100)
        count = int((labels[:, 1:] != -100).sum())
        nll = float(model(input_ids=ids, labels=labels).loss) * count if count else 0.0
        assert (step.report.columns["loss"][place].as_py() or 0.0) * count == pytest.approx(nll, abs=1e-3)
        total += nll
    assert step.record.loss == pytest.approx(total / step.record.target_tokens, abs=1e-5)
    assert step.record.tokens == tokens.offsets[-1]
    assert step.stop


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_it_learns(base, optimizer):
    trainer = trainer_of(base, random_rows(16, 20), epochs=30, optimizer=optimizer, learning_rate=5e-3)
    losses = [step.record.loss for step in trainer.steps(0, lambda: False)]
    assert losses[-1] < 0.5 * losses[0]


def test_muon_takes_the_hidden_matrices_alone(base):
    trainer = trainer_of(base, random_rows(4, 9), optimizer="muon")
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    adamw, muon = (
        {names[id(p)] for group in part.param_groups for p in group["params"]} for part in trainer.optimizers.parts
    )
    assert adamw | muon == set(names.values())
    assert all("_proj" in name for name in muon)
    assert len(muon) == 2 * 7
    assert [group["peak"] for part in trainer.optimizers.parts for group in part.param_groups] == [1e-3, 0.02]


def test_rates_by_hand():
    def rates(schedule, **params):
        config = SftConfig(learning_rate=2.0, warmup=0.2, schedule=schedule, **params)
        optimizers = SimpleNamespace(config=config, steps=10)
        return [Optimizers.rate(optimizers, step) for step in range(10)]

    assert rates("constant") == [0.5, *[1.0] * 9]
    assert rates("linear") == pytest.approx([0.5, 1.0, *(1 - k / 8 for k in range(8))])
    cosine = [(1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)]
    assert rates("cosine") == pytest.approx([0.5, 1.0, *cosine])
    floored = rates("cosine", min_learning_rate=0.5)
    assert floored == pytest.approx([0.5, 1.0, *(0.25 + 0.75 * share for share in cosine)])


def test_a_gradient_that_is_not_a_number_stops_the_run_and_names_the_rows(base):
    trainer = trainer_of(base, random_rows(60, 30), batch_size=4)
    before = {name: parameter.clone() for name, parameter in trainer.model.named_parameters()}
    bad = int(trainer.plan.window(0).rows[3])
    start = trainer.plan.tokens.offsets[bad]
    trainer.plan.tokens.ids[start] = 399
    trainer.plan.tokens.mask[start + 1] = True
    with torch.no_grad():
        trainer.model.causal.get_input_embeddings().weight[399] = math.nan
    before["model.model.embed_tokens.weight"][399] = math.nan
    with pytest.raises(TrainingError, match=rf"step 1: loss is nan.*rows r{bad}\b.*lower learning_rate"):
        list(trainer.steps(0, lambda: False))
    for name, parameter in trainer.model.named_parameters():
        torch.testing.assert_close(parameter, before[name], atol=0, rtol=0, equal_nan=True, msg=name)


SHARED = """
import json, sys
sys.path[:0] = {path!r}
from test_loop import gradients, trainer_of
from trainers.data.folder import Base
from tuning import random_rows
trainer = trainer_of(Base({base!r}), random_rows(100, 30), micro_batch_size=2, batch_size=7)
assert trainer.accelerator.num_processes == 2
found = gradients(trainer, {step})
if trainer.accelerator.is_main_process:
    name = "model.model.layers.0.mlp.up_proj.weight"
    grad = next(value for key, value in found.items() if key.endswith(name))
    print(json.dumps(grad.tolist()), flush=True)
trainer.accelerator.end_training()
"""


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(base, tmp_path):
    here, step = Path(__file__).parent, 1
    path = [str(folder) for folder in (here, here.parent, here.parents[1])]
    script = tmp_path / "shared.py"
    script.write_text(SHARED.format(path=path, base=base.model, step=step))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *launch, str(script)], capture_output=True, text=True, env=env, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    shared = torch.tensor(json.loads(done.stdout.splitlines()[-1]))
    trainer = trainer_of(base, random_rows(100, 30), micro_batch_size=2, batch_size=7)
    alone = gradients(trainer, step)["model.model.layers.0.mlp.up_proj.weight"]
    torch.testing.assert_close(shared, alone, atol=1e-5, rtol=0)
