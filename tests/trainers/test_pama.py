"""PAMA on a tiny model: loss and weights against gradients of whole logits, what it leaves behind, what it refuses."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_model import build_tiny_model
from tuning import talks, write_handoff
from two_rewards import write_toy

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from accelerate import Accelerator  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from trainers.config import PamaConfig, from_params, to_params  # noqa: E402
from trainers.data.folder import open_handoff  # noqa: E402
from trainers.data.template import load_tokenizer  # noqa: E402
from trainers.errors import HandoffError  # noqa: E402
from trainers.loop.command import Given, _trainer, main, train  # noqa: E402
from trainers.losses.pareto import min_norm_point  # noqa: E402
from trainers.model.gradients import shared  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.pama import PAMA  # noqa: E402

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
LONG = {"use": "length", "name": "long", "scale": 10, "low": 0, "high": 3}
WORDS = {"use": "length", "name": "words", "unit": "words", "scale": 5, "low": 0, "high": 3}
PARAMS = {"batch_size": 8, "max_length": 64, "max_new_tokens": 12, "learning_rate": 3e-3}
CLOCK = {"seconds", "tokens_per_s", "peak_memory", "mfu"}


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    torch.set_num_threads(1)
    return build_tiny_model(tmp_path_factory.mktemp("pama") / "base")


@pytest.fixture
def handoff(base, tmp_path):
    """Writes `tmp_path/handoff` of 24 talks, three steps an epoch."""

    def write(**params):
        folder = write_handoff(tmp_path / "handoff", base, talks(24), **{"rewards": [LONG, WORDS], **PARAMS, **params})
        record = json.loads((folder / "handoff.json").read_text())
        (folder / "handoff.json").write_text(json.dumps({**record, "trainer": "pama"}))
        return folder

    return write


def ready(folder):
    """A trainer before its first step."""
    opened = open_handoff(folder)
    config = from_params(PamaConfig, opened.params)
    torch.manual_seed(0)
    tokenizer = load_tokenizer(opened.base, None)
    policy = build_policy(opened.base, config, torch.device("cpu"), len(tokenizer))
    return _trainer(PAMA, Given(opened, config, tokenizer, policy, Accelerator(cpu=True)))


def step_of(trainer, number=0):
    """The forward passes of a step, once the objective knows what it is made from."""
    return trainer.objective.batches(trainer, trainer.plan.window(number))


def logp_of(objective):
    """Log-probabilities of all answers' tokens, `[N]`, row by row on whole logits; and the states behind them."""
    tokens, policy = objective.known.rollouts.plan.tokens, objective.policy
    logps, states = [], []
    for start, end in zip(tokens.offsets, tokens.offsets[1:], strict=False):
        ids = torch.from_numpy(tokens.ids[start:end].astype(np.int64))
        hidden = policy.decoder(input_ids=ids[None], use_cache=False).last_hidden_state[0]
        at = np.flatnonzero(tokens.mask[start:end])
        states.append(hidden[at - 1])
        logps.append(torch.log_softmax(policy.head(states[-1]), -1).gather(-1, ids[at][:, None])[:, 0])
    return torch.cat(logps), states


def gradients_of(trainer, batches):
    """Of the policy's part of the loss, by the loop's own forward passes."""
    objective = trainer.objective
    sum(trainer.model(batch, objective).loss for batch in batches).backward()
    trained = [p for name, p in objective.policy.named_parameters() if p.requires_grad and "values" not in name]
    return trained, [parameter.grad.clone() for parameter in trained]


def whitened(values):
    return (values - values.mean(0)) / values.std(0, unbiased=False)


@pytest.mark.parametrize("params", [{}, {"packing": False, "micro_batch_size": 3, "chunk_tokens": 7}])
def test_one_reward_is_noon_ppo(handoff, params):
    trainer = ready(handoff(rewards=[LONG], value_coefficient=0.0, kl_coefficient=0.05, **params))
    batches = step_of(trainer)
    trained, found = gradients_of(trainer, batches)
    objective = trainer.objective
    logp, _ = logp_of(objective)
    ratios = (logp - logp.detach()).exp()
    advantages = whitened(objective.known.estimates[:, 0]).clamp(min=0)
    loss = -torch.minimum(ratios * advantages, ratios.clamp(0.8, 1.2) * advantages).mean()
    for one, other in zip(found, torch.autograd.grad(loss, trained, allow_unused=True), strict=True):
        assert torch.allclose(one, torch.zeros_like(one) if other is None else other.float(), atol=1e-6)
    assert max(grad.abs().max() for grad in found) > 1e-3


def test_two_rewards_are_ppo_of_the_lesser_advantage(handoff):
    trainer = ready(handoff(value_coefficient=0.0))
    trained, found = gradients_of(trainer, step_of(trainer))
    objective = trainer.objective
    logp, _ = logp_of(objective)
    lesser = whitened(objective.known.estimates).clamp(min=0).amin(1)
    loss = -(lesser * (logp - logp.detach()).exp()).mean()
    for one, other in zip(found, torch.autograd.grad(loss, trained, allow_unused=True), strict=True):
        assert torch.allclose(one, torch.zeros_like(one) if other is None else other.float(), atol=1e-6)


def test_estimates_are_rewards_less_the_price_of_distance(handoff):
    trainer = ready(handoff(kl_coefficient=0.5, epochs=2.0))
    for number in (0, 1):
        trainer.update(trainer.plan.window(number), step_of(trainer, number))
    step_of(trainer, 2)
    known, rollouts = trainer.objective.known, trainer.objective.known.rollouts
    moved = (known.old.logp - known.reference).numpy()
    assert np.abs(moved).max() > 1e-3
    ends = np.cumsum(rollouts.lengths)
    for row, (start, end) in enumerate(zip(ends - rollouts.lengths, ends, strict=True)):
        rewards = np.repeat(-0.5 * moved[start:end, None], 2, axis=1)
        rewards[-1] += rollouts.rewards[row]
        values = np.concatenate([known.old.values[start:end].numpy(), np.zeros((1, 2))])
        running = np.zeros(2)
        for at in reversed(range(end - start)):
            running = rewards[at] + values[at + 1] - values[at] + 0.95 * running
            assert known.estimates[start + at].numpy() == pytest.approx(running, abs=1e-6)
            assert known.returns[start + at].numpy() == pytest.approx(running + values[at], abs=1e-6)


def test_values_are_fitted_each_to_its_own_returns(handoff):
    trainer = ready(handoff(epochs=4.0, learning_rate=0.01, value_coefficient=1.0, kl_coefficient=0.0))
    objective, misfits = trainer.objective, []
    for number in range(12):
        trainer.update(trainer.plan.window(number), step_of(trainer, number))
        misfits.append((objective.known.old.values - objective.known.returns).square().mean(0))
    assert (misfits[-1] < 0.6 * misfits[0]).all()
    found = objective.known.old.values.mean(0)
    assert found.numpy() == pytest.approx(objective.known.returns.mean(0).numpy(), abs=0.3)


def test_value_heads_are_no_hidden_matrices(handoff):
    trainer = ready(handoff(optimizer="muon"))
    adamw, muon = ([id(p) for group in part.param_groups for p in group["params"]] for part in trainer.optimizers.parts)
    heads = [id(parameter) for parameter in trainer.objective.heads.parameters()]
    assert muon
    assert not set(heads) & set(muon)
    assert set(heads) <= set(adamw)


def objective_gradients(objective, wanted):
    """Gradients of both objectives' surrogates by what `wanted` says, `[2, size]`."""
    logp, states = logp_of(objective)
    advantages = whitened(objective.known.estimates).clamp(min=0).float()
    ratios = (logp - logp.detach()).exp()
    by = states if wanted is None else wanted
    rows = [torch.autograd.grad((ratios * one).sum(), by, retain_graph=True) for one in advantages.T]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]).double()


@pytest.mark.parametrize(("method", "params"), [("mgda_ub", {}), ("mgda", {}), ("mgda", {"lora_rank": 4})])
def test_weights_of_mgda_are_those_of_gradients(handoff, method, params):
    trainer = ready(handoff(method=method, **params))
    step_of(trainer)
    objective = trainer.objective
    gradients = objective_gradients(objective, None if method == "mgda_ub" else shared(objective.policy))
    expected = min_norm_point((gradients @ gradients.T).numpy())
    assert objective.combined.weights.numpy() == pytest.approx(expected, abs=1e-4)
    assert 0.05 < expected[0] < 0.95


def test_fixed_weights_are_of_rewards(handoff):
    trainer = ready(handoff(method="fixed_weights", weights=[0.25, 0.75], noon=False))
    step_of(trainer)
    known, combined = trainer.objective.known, trainer.objective.combined
    expected = whitened(known.estimates @ torch.tensor([0.25, 0.75], dtype=torch.float64))
    assert torch.allclose(combined.advantages, expected)
    assert combined.weights.tolist() == [0.25, 0.75]


def test_ratios_to_the_reference(handoff):
    trainer = ready(handoff(ratio_base="ref", learning_rate=0.02, value_coefficient=0.0))
    trainer.update(trainer.plan.window(0), step_of(trainer))
    batches = step_of(trainer, 1)
    objective = trainer.objective
    ratios = (objective.known.old.logp - objective.known.reference).exp()
    clipped = (ratios > 1.2).double().mean().item()
    assert 0 < objective.report(trainer.plan.window(1), np.zeros(8)).figures["clip_frac"] == pytest.approx(clipped)
    loss = sum(trainer.model(batch, objective).loss for batch in batches).item()
    expected = -(objective.combined.advantages * ratios.clamp(max=1.2)).mean().item()
    assert loss == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("epochs", [1, 3])
def test_one_backward_pass_for_each_forward_pass(handoff, epochs, monkeypatch):
    trainer = ready(handoff(ppo_epochs=epochs, micro_batch_size=1))
    passes, count = [], trainer.accelerator.backward
    monkeypatch.setattr(trainer.accelerator, "backward", lambda loss: (passes.append(1), count(loss)))
    batches = step_of(trainer)
    trainer.update(trainer.plan.window(0), batches)
    assert len(passes) == epochs * len(batches)


def test_a_step_has_its_columns_and_every_answer_its_row(handoff, tmp_path):
    train(PAMA, handoff(granularity="sequence", max_steps=2), tmp_path / "out")
    steps = pq.read_table(tmp_path / "out/train_steps.parquet")
    wanted = ["reward/{}", "adv_mean/{}", "adv_pos_frac/{}", "pama/A_{}", "pama/c_{}"]
    columns = [column.format(name) for column in wanted for name in ("long", "words")]
    for column in [*columns, "pama/s_star", "kl", "clip_frac", "length", "entropy", "zero_frac"]:
        assert all(math.isfinite(value) for value in steps[column].to_pylist())
    first = steps.to_pylist()[0]
    assert first["pama/c_long"] + first["pama/c_words"] == pytest.approx(1)
    assert (first["kl"], first["clip_frac"]) == (0, 0)
    rows = pq.read_table(tmp_path / "out/train_metrics.parquet")
    assert len(set(rows["row_id"].to_pylist())) == rows.num_rows == 16
    lengths = rows["n_tokens"].to_numpy()
    assert rows["reward/long"].to_numpy() == pytest.approx(np.clip(lengths / 10, 0, 3))
    texts = rows["response"].to_pylist()
    assert rows["reward/words"].to_pylist() == pytest.approx([min(len(text.split()) / 5, 3) for text in texts])
    assert first["length"] == pytest.approx(lengths[:8].mean())
    record = json.loads((tmp_path / "out/model/training.json").read_text())["params"]
    assert (record["granularity"], record["ratio_base"], record["noon"]) == ("sequence", "old", True)


def lasting(out):
    steps = pq.read_table(out / "train_steps.parquet")
    return (
        load_file(out / "model/model.safetensors"),
        pq.read_table(out / "train_metrics.parquet"),
        steps.select([name for name in steps.column_names if name not in CLOCK]),
    )


@pytest.mark.parametrize("params", [{}, {"ppo_epochs": 2, "granularity": "batch", "ratio_base": "ref"}])
def test_a_run_that_goes_on_is_the_unbroken_one_to_the_bit(handoff, tmp_path, params):
    folder = handoff(epochs=2.0, save_steps=1, keep_checkpoints=9, **params)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(PAMA, folder, whole)
    shutil.copytree(whole / "checkpoints/step-000002", broken / "checkpoints/step-000002")
    train(PAMA, folder, broken)
    (weights, rows, steps), (other_weights, other_rows, other_steps) = lasting(whole), lasting(broken)
    assert steps.num_rows == 6
    assert steps.equals(other_steps)
    assert rows.equals(other_rows)
    assert all(torch.equal(tensor, other_weights[name]) for name, tensor in weights.items())


@pytest.mark.slow
def test_ctrl_c_leaves_a_checkpoint_and_the_reward_program_alive_until_then(handoff, tmp_path):
    folder = handoff(rewards=[LONG, failing()], epochs=2.0)
    command = [sys.executable, "-m", "trainers.pama", str(folder), "--json", "--out"]
    told = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "env": ENVIRONMENT, "start_new_session": True}
    with subprocess.Popen([*command, str(tmp_path / "broken")], **told) as process:
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "step" and event["step"] == 2:
                os.killpg(process.pid, signal.SIGINT)
    assert (process.returncode, event["event"]) == (130, "stopped")
    train(PAMA, folder, tmp_path / "broken")
    train(PAMA, folder, tmp_path / "whole")
    (weights, rows, steps), (others, other_rows, other_steps) = (
        lasting(tmp_path / "whole"),
        lasting(tmp_path / "broken"),
    )
    assert steps.equals(other_steps)
    assert rows.equals(other_rows)
    assert all(torch.equal(tensor, others[name]) for name, tensor in weights.items())


def failing(*numbers):
    """A reward command whose n-th answer of all gets the n-th of these, and all others 1."""
    body = (
        "import json, sys\n"
        f"numbers = {list(numbers)!r}\n"
        "for line in sys.stdin:\n"
        "    number = numbers.pop(0) if numbers else 1\n"
        "    print(json.dumps({'id': json.loads(line)['id'], 'rewards': {'frail': number}}), flush=True)\n"
    )
    return {"use": "command", "names": ["frail"], "command": [sys.executable, "-c", body]}


def test_an_answer_without_a_reward_ends_the_run(handoff, tmp_path, capsys):
    folder = handoff(rewards=[LONG, failing(1, None)])
    assert main(PAMA, [str(folder), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "step 1: frail has no number for 1 of 8 answers (to rows r" in said
    assert not (tmp_path / "out/model").exists()


def test_an_answer_without_a_reward_is_left_out_if_asked(handoff, tmp_path):
    folder = handoff(rewards=[LONG, failing(1, None, 2, None)], bad_rewards="drop", max_steps=2)
    train(PAMA, folder, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out/train_metrics.parquet").to_pylist()
    lacking = [place for place, row in enumerate(rows) if row["reward/frail"] is None]
    assert lacking == [1, 3]
    assert all(rows[place]["n_tokens"] == 0 and rows[place]["kl"] is None for place in lacking)
    steps = pq.read_table(tmp_path / "out/train_steps.parquet").to_pylist()
    assert [step["bad/frail"] for step in steps] == [2, 0]
    assert steps[0]["target_tokens"] == sum(row["n_tokens"] for row in rows[:8])
    events = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    (warning,) = [event["message"] for event in events if event["event"] == "warning"]
    assert warning == "step 1: frail has no number for 2 answers, which are left out"


def test_nothing_but_answers_without_a_reward(handoff, tmp_path, capsys):
    folder = handoff(rewards=[LONG, failing(*[None] * 8)], bad_rewards="drop")
    assert main(PAMA, [str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "frail has no number for 8 of 8 answers" in capsys.readouterr().err


def test_a_program_that_ends_is_an_error_with_its_step(handoff, tmp_path, capsys):
    reward = {"use": "command", "names": ["gone"], "command": [sys.executable, "-c", "raise SystemExit(4)"]}
    folder = handoff(rewards=[LONG, reward])
    assert main(PAMA, [str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "step 1: the reward command" in capsys.readouterr().err


def test_a_dead_reward_is_told_of_while_the_run_can_be_stopped(handoff, tmp_path):
    folder = handoff(rewards=[WORDS, failing()], dead_steps=2, max_steps=3)
    train(PAMA, folder, tmp_path / "out")
    events = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    (said,) = [event["message"] for event in events if event["event"] == "warning"]
    assert said.startswith("step 2: frail is the same for every answer, for 2 steps")


def test_steps_that_teach_nothing_are_told_of(handoff):
    objective = ready(handoff(dead_steps=2)).objective
    still = dict.fromkeys(objective.figures, 0.5) | {"bad/long": 0.0, "bad/words": 0.0, "zero_frac": 1.0}

    def record(**figures):
        return SimpleNamespace(figures=still | figures)

    assert objective.concerns([record()]) == []
    assert objective.concerns([record(zero_frac=0.9), record()]) == []
    ((code, message),) = objective.concerns([record(), record()])
    assert code == "zero"
    assert message.startswith("no token has an advantage in all objectives, for 2 steps")


def test_params_survive_json():
    config = PamaConfig(rewards=(LONG, WORDS), method="fixed_weights", weights=(0.5, 0.5))
    assert from_params(PamaConfig, json.loads(json.dumps(to_params(config)))) == config


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"rewards": []}, "params.rewards is (): name one at least"),
        ({"rewards": ["long"]}, "it must be a list of objects"),
        ({"method": "single"}, "params.objective is None: method single needs the name of a reward"),
        ({"method": "single", "objective": "wit"}, "params.objective is 'wit', and the rewards are long, words"),
        ({"method": "fixed_weights", "weights": [1.0]}, "params.weights has 1 numbers, and there are 2 rewards"),
        ({"method": "fixed_weights", "weights": [0.5, 0.6]}, "they must be at least 0, and 1 in sum"),
        ({"weights": [0.5, 0.5]}, "method pama has no use for them, only fixed_weights"),
        ({"method": "mgda", "granularity": "batch"}, "method mgda has no use for it, only pama"),
        ({"max_new_tokens": 64}, "params.max_new_tokens is 64: it must be below max_length, 64"),
        ({"sharding": "full"}, "params.sharding is 'full': answers are drawn from whole weights"),
        ({"clip": 0.0}, "params.clip is 0.0: it must be above 0"),
        ({"gae_lambda": 1.5}, "params.gae_lambda is 1.5: it must be from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused(handoff, tmp_path, params, said):
    with pytest.raises(HandoffError) as refusal:
        train(PAMA, handoff(**params), tmp_path / "out")
    assert said in str(refusal.value)


@pytest.mark.slow
def test_both_rewards_rise_between_what_either_alone_would_have(tmp_path):
    def ends(name, **params):
        train(PAMA, write_toy(tmp_path / name, seed=3, epochs=24.0, **params), tmp_path / name / "out")
        table = pq.read_table(tmp_path / name / "out/train_steps.parquet", columns=["reward/kind", "reward/long"])
        path = np.stack([column.to_numpy() for column in table.columns], axis=1)
        return path[:3].mean(0), path[-3:].mean(0)

    start, both = ends("both")
    _, kind = ends("kind", method="fixed_weights", weights=[1.0, 0.0])
    _, long = ends("long", method="fixed_weights", weights=[0.0, 1.0])
    assert (both > start + 0.1).all()
    assert long[0] < both[0] < kind[0]
    assert kind[1] < both[1] < long[1]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pama", "mgda"])
def test_two_processes_have_the_answers_and_the_weights_of_one(handoff, tmp_path, method):
    folder, alone, shared_out = handoff(method=method, batch_size=7, max_steps=2), tmp_path / "one", tmp_path / "two"
    train(PAMA, folder, alone)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    command = [*launch, "trainers.pama", str(folder), "--out", str(shared_out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    (weights, rows, steps), (other_weights, other_rows, other_steps) = lasting(alone), lasting(shared_out)
    assert rows["response"].to_pylist() == other_rows["response"].to_pylist()
    for one, other in zip(steps.to_pylist(), other_steps.to_pylist(), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert max((tensor - other_weights[name]).abs().max() for name, tensor in weights.items()) < 1e-3
