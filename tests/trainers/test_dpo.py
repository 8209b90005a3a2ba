"""Preference optimisation as a command: its first step, its references, its batches, its resumption, its tables."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_model import build_tiny_model
from tuning import pairs, write_handoff

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from accelerate import Accelerator  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from trainers.config import DpoConfig  # noqa: E402
from trainers.data.folder import Base, open_handoff  # noqa: E402
from trainers.data.plan import Plan  # noqa: E402
from trainers.data.tokens import load_tokenizer, tokenise  # noqa: E402
from trainers.dpo import DPO, Pairs  # noqa: E402
from trainers.errors import HandoffError  # noqa: E402
from trainers.loop.command import main, train  # noqa: E402
from trainers.model.loading import build_policy  # noqa: E402
from trainers.objectives.reference import live  # noqa: E402

PARAMS = {"batch_size": 4, "max_length": 64, "learning_rate": 3e-3, "epochs": 2}
COUNT = 24
CLOCK = {"seconds", "tokens_per_s", "peak_memory", "mfu"}


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    return build_tiny_model(tmp_path_factory.mktemp("dpo") / "base")


@pytest.fixture
def handoff(base, tmp_path):
    """Writes the folder `tmp_path/NAME` of two dozen pairs, or of others."""

    def write(name="handoff", rows=None, **params):
        given = {"packing": False, **PARAMS, **params}
        return write_handoff(tmp_path / name, base, rows or pairs(COUNT), trainer="dpo", **given)

    return write


def feedback():
    return [
        {"row_id": row["row_id"], "prompt": row["prompt"], "completion": row["chosen"], "label": number % 3 > 0}
        for number, row in enumerate(pairs(COUNT))
    ]


def steps_of(out):
    return pq.read_table(out / "train_steps.parquet").to_pylist()


@pytest.mark.parametrize("extra", [{}, {"packing": True}, {"lora_rank": 4}, {"dtype": "bfloat16"}])
def test_the_first_step_knows_nothing_yet(handoff, tmp_path, extra):
    assert train(DPO, handoff(max_steps=1, **extra), tmp_path / "out")
    (step,) = steps_of(tmp_path / "out")
    assert step["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert (step["rewards/margins"], step["rewards/accuracies"], step["kl"]) == (0, 0, 0)


def test_it_learns_and_says_what_it_did_row_by_row(handoff, tmp_path):
    assert train(DPO, handoff(), tmp_path / "out")
    steps = steps_of(tmp_path / "out")
    assert steps[-1]["loss"] < 0.6
    assert steps[-1]["rewards/accuracies"] > 0.9
    table = pq.read_table(tmp_path / "out/train_metrics.parquet")
    assert table.column_names == ["row_id", "epoch", "step", "n_tokens", "loss", "reward_chosen", "reward_rejected"]
    assert sorted(table["row_id"].to_pylist()) == sorted([f"r{i}" for i in range(COUNT)] * 2)
    of_last = [row for row in table.to_pylist() if row["step"] == len(steps)]
    margins = [row["reward_chosen"] - row["reward_rejected"] for row in of_last]
    assert [row["loss"] for row in of_last] == pytest.approx([math.log1p(math.exp(-m)) for m in margins], rel=1e-4)
    assert np.mean([row["loss"] for row in of_last]) == pytest.approx(steps[-1]["loss"], rel=1e-5)
    assert np.mean(margins) == pytest.approx(steps[-1]["rewards/margins"], rel=1e-4)
    assert sum(row["n_tokens"] for row in of_last) == steps[-1]["target_tokens"]
    lengths = steps[-1]["length/chosen"] + steps[-1]["length/rejected"]
    assert lengths == pytest.approx(steps[-1]["target_tokens"] / len(of_last))


LOSSES = {
    "cdpo": {"label_smoothing": 0.1},
    "robust": {"label_smoothing": 0.1},
    "hinge": {},
    "ipo": {},
    "sigmoid_norm": {"beta": 5.0},
    "simpo": {"reference": "none", "beta": 2.0},
    "orpo": {"reference": "none"},
    "sigmoid": {"sft_weight": 0.5},
    "kto": {},
}


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_falls(handoff, tmp_path, loss):
    rows = feedback() if loss == "kto" else None
    assert train(DPO, handoff(rows=rows, loss=loss, epochs=3, **LOSSES[loss]), tmp_path / "out")
    steps = steps_of(tmp_path / "out")
    assert steps[-1]["loss"] < steps[0]["loss"] - 0.03
    assert steps[-1]["rewards/margins"] > steps[0]["rewards/margins"]
    assert (steps[-1]["kl"] is None) == (loss in ("simpo", "orpo"))


def windowed(folder, base, **params):
    """Loss and gradients of the first window under a policy that has moved away from its reference."""
    handoff = open_handoff(folder)
    config = DpoConfig(**{**handoff.params, **params})
    tokens, _ = tokenise(handoff, load_tokenizer(handoff.base, None), config)
    plan = Plan(tokens, config, 3, together=2)
    policy = build_policy(Base(str(base)), config, torch.device("cpu"), 400)
    objective = Pairs(plan, config, live(policy, plan, Accelerator(cpu=True)), torch.device("cpu"))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.01)
    loss, window = 0.0, plan.window(0)
    for batch in plan.batches(window, objective.weights(window)):
        scored = policy(batch, objective)
        scored.loss.backward()
        loss += float(scored.loss.detach())
    return loss, {name: parameter.grad for name, parameter in policy.named_parameters()}


@pytest.mark.parametrize("params", [{}, {"loss": "ipo"}, {"loss": "orpo", "reference": "none"}, {"sft_weight": 0.5}])
def test_however_a_window_is_split_and_packed_it_is_the_same(handoff, base, params):
    folder = handoff(batch_size=13)
    expected = windowed(folder, base, micro_batch_size=13, **params)
    sizes = [{"micro_batch_size": 1}, {"micro_batch_size": 4}]
    for one in sizes:
        loss, gradients = windowed(folder, base, **one, **params)
        assert loss == pytest.approx(expected[0], abs=1e-5)
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, expected[1][name], atol=1e-5, rtol=1e-5)


def test_packed_and_unpacked_losses_of_each_pair_are_the_same(handoff, tmp_path):
    tables = []
    for packing in (True, False):
        train(DPO, handoff(packing=packing, batch_size=100, learning_rate=1e-2, epochs=2), tmp_path / str(packing))
        table = pq.read_table(tmp_path / str(packing) / "train_metrics.parquet")
        tables.append({(row["row_id"], row["epoch"]): row for row in table.to_pylist()})
    assert tables[0].keys() == tables[1].keys()
    for key, row in tables[0].items():
        for name in ("loss", "reward_chosen", "reward_rejected"):
            assert row[name] == pytest.approx(tables[1][key][name], abs=1e-4)
    assert max(row["reward_chosen"] for (_, epoch), row in tables[0].items() if epoch) > 0.1


def test_a_window_of_single_answers_has_one_z_however_it_is_split(handoff, tmp_path):
    found = []
    for size in (1, 8):
        folder = handoff(rows=feedback(), loss="kto", batch_size=8, micro_batch_size=size, learning_rate=1e-2)
        train(DPO, folder, tmp_path / str(size))
        found.append(steps_of(tmp_path / str(size)))
    assert found[0][0]["loss"] == pytest.approx(0.5, abs=1e-6)
    for one, other in zip(*found, strict=True):
        for name in ("loss", "kl", "rewards/chosen", "rewards/rejected"):
            assert one[name] == pytest.approx(other[name], abs=1e-4)
    assert any(step["kl"] > 0.1 for step in found[0])


def scored(folder, base, **params):
    """The rows of a folder with columns of a reference, as a scorer with the base would write them."""
    handoff = open_handoff(folder)
    config = DpoConfig(**{**handoff.params, **params})
    tokens, _ = tokenise(handoff, load_tokenizer(handoff.base, None), config)
    names = ("ref",) if config.loss == "kto" else ("ref_chosen", "ref_rejected")
    plan = Plan(tokens, config, 3, together=len(names))
    policy = build_policy(Base(str(base)), config, torch.device("cpu"), 400)
    found = live(policy, plan, Accelerator(cpu=True)).reshape(-1, len(names))
    counts = plan.targets.reshape(-1, len(names))
    rows = pq.read_table(folder / "data/part-00000.parquet").to_pylist()
    for number, row in enumerate(rows):
        for place, name in enumerate(names):
            row |= {f"{name}_logp": float(found[number, place]), f"{name}_tokens": int(counts[number, place])}
    return rows[::-1]  # by row id, not by order


@pytest.mark.parametrize("loss", ["sigmoid", "kto"])
def test_a_table_of_the_reference_gives_what_the_live_one_gives(handoff, base, tmp_path, loss):
    rows = feedback() if loss == "kto" else pairs(COUNT)
    folder = handoff(rows=rows, loss=loss, batch_size=100)
    table = scored(folder, base)
    live_steps, recorded = [], []
    train(DPO, folder, tmp_path / "live")
    train(
        DPO, handoff("table", rows=table[::-1], loss=loss, batch_size=100, reference="precomputed"), tmp_path / "table"
    )
    live_steps, recorded = steps_of(tmp_path / "live"), steps_of(tmp_path / "table")
    for one, other in zip(live_steps, recorded, strict=True):
        for name in ("loss", "rewards/chosen", "rewards/rejected", "kl"):
            assert one[name] == pytest.approx(other[name], abs=1e-4)


def test_the_order_of_the_table_does_not_matter(handoff, base, tmp_path):
    table = scored(handoff(), base)
    train(DPO, handoff("table", rows=table, max_steps=1, reference="precomputed"), tmp_path / "table")
    assert steps_of(tmp_path / "table")[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize("fault", ["model", "counts", "adapters"])
def test_a_table_of_another_reference_is_refused(handoff, base, tmp_path, fault):
    table = scored(handoff(), base)
    if fault == "model":
        table = scored(handoff(), build_tiny_model(tmp_path / "other", seed=1))
    if fault == "counts":
        table[3]["ref_chosen_tokens"] += 1
    if fault == "adapters":
        for row in table:
            row["ref_chosen_logp"] += 0.1 * row["ref_chosen_tokens"]
    said = (
        r"\(r20, \.\.\.; of the first" if fault == "counts" else r"not those of the base \(r\d+: -\d+\.\d+ in the table"
    )
    with pytest.raises(HandoffError, match=said):
        train(DPO, handoff("table", rows=table, reference="precomputed"), tmp_path / "out")


def lasting(out):
    steps = pq.read_table(out / "train_steps.parquet")
    return (
        load_file(out / "model/model.safetensors"),
        pq.read_table(out / "train_metrics.parquet"),
        steps.select([name for name in steps.column_names if name not in CLOCK]),
    )


@pytest.mark.parametrize("params", [{}, {"loss": "kto"}, {"lora_rank": 4, "lora_dropout": 0.1}, {"packing": True}])
def test_resumed_in_the_second_epoch_it_equals_the_unbroken_run_bit_for_bit(handoff, tmp_path, params):
    rows = feedback() if params.get("loss") == "kto" else None
    extra = {"batch_size": 1} if params.get("packing") else {}
    folder = handoff(rows=rows, save_steps=4, keep_checkpoints=9, **extra, **params)
    assert train(DPO, folder, tmp_path / "straight")
    checkpoints = sorted((tmp_path / "straight/checkpoints").iterdir())
    shutil.copytree(checkpoints[-1], tmp_path / "broken/checkpoints" / checkpoints[-1].name)
    assert train(DPO, folder, tmp_path / "broken")
    one, other = lasting(tmp_path / "straight"), lasting(tmp_path / "broken")
    assert int(checkpoints[-1].name[5:]) > one[2].num_rows / 2
    assert one[0].keys() == other[0].keys()
    assert all(tensor.equal(other[0][name]) for name, tensor in one[0].items())
    assert one[1].equals(other[1])
    assert one[2].equals(other[2])


def test_bad_pairs_end_the_command_with_their_names(handoff, tmp_path, capsys):
    rows = pairs(COUNT)
    rows[5]["rejected"] = rows[5]["chosen"]
    assert main(DPO, [str(handoff(rows=rows)), "--out", str(tmp_path / "out")]) == 1
    assert "1 rows (r5, ...): chosen and rejected are the same" in capsys.readouterr().err
    assert main(DPO, [str(handoff(rows=rows, bad_pairs="drop", max_steps=1)), "--out", str(tmp_path / "out")]) == 0


@pytest.mark.slow
def test_answers_that_become_unlikelier_are_warned_of(handoff, tmp_path):
    folder = handoff(epochs=12, learning_rate=0.02, beta=0.01, loss="hinge")
    train(DPO, folder, tmp_path / "out")
    events = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    fallen = steps_of(tmp_path / "out")[-1]["kl"]
    warnings = [event["message"] for event in events if event["event"] == "warning"]
    assert any("nats unlikelier" in message for message in warnings) == (fallen < -5)
    assert fallen < -5


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("loss", "sharding"), [("sigmoid", "none"), ("kto", "none"), ("kto", "full")])
def test_two_processes_do_what_one_does(handoff, tmp_path, loss, sharding):
    rows = feedback() if loss == "kto" else None
    params = {"loss": loss, "batch_size": 8, "micro_batch_size": 3, "max_steps": 5, "learning_rate": 1e-2}
    assert train(DPO, handoff(rows=rows, **params), tmp_path / "one")
    folder = handoff("both", rows=rows, sharding=sharding, **params)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "trainers.dpo"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *launch, str(folder), "--out", str(tmp_path / "two")],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], env=environment, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for one, two in zip(steps_of(tmp_path / "one"), steps_of(tmp_path / "two"), strict=True):
        for name in ("loss", "kl", "rewards/chosen", "rewards/rejected", "logps/chosen"):
            assert one[name] == pytest.approx(two[name], abs=1e-3)
