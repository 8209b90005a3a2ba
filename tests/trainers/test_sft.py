"""The command, as a process: what it leaves behind, and that killed and resumed it leaves the same to the bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_model import build_tiny_model
from tuning import talks, write_handoff

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from safetensors.torch import load_file  # noqa: E402

from trainers.errors import HandoffError  # noqa: E402
from trainers.loop.command import main, train  # noqa: E402
from trainers.sft import SFT  # noqa: E402

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
PARAMS = {"batch_size": 4, "max_length": 64, "learning_rate": 3e-3, "epochs": 3, "train_on": "all"}


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    return build_tiny_model(tmp_path_factory.mktemp("sft") / "base")


@pytest.fixture
def handoff(base, tmp_path):
    """Writes the folder `tmp_path/handoff` of sixty talks."""
    rows = talks(60)
    return lambda rows=rows, **params: write_handoff(tmp_path / "handoff", base, rows, **{**PARAMS, **params})


def command(folder, out, *options):
    return [sys.executable, "-m", "trainers.sft", str(folder), "--out", str(out), *options]


def run(folder, out, *options, expect=0):
    done = subprocess.run(
        command(folder, out, "--json", *options), capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, timeout=100
    )
    assert done.returncode == expect, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def interrupted(folder, out, number, after):
    """Start the command, and send it a signal once it has told of `after` steps; its exit code and events."""
    with subprocess.Popen(
        command(folder, out, "--json"), stdout=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT
    ) as process:
        events = []
        for line in process.stdout:
            events.append(json.loads(line))
            if events[-1].get("step") == after and events[-1]["event"] == "step":
                process.send_signal(number)
    return process.returncode, events


def lasting(out):
    """What must be the same however often a run was interrupted: weights and metrics, but for those of the clock."""
    clock = {"seconds", "tokens_per_s", "peak_memory", "mfu"}
    steps = pq.read_table(out / "train_steps.parquet")
    return (
        load_file(out / "model/model.safetensors"),
        pq.read_table(out / "train_metrics.parquet"),
        steps.select([name for name in steps.column_names if name not in clock]),
    )


def assert_same(one, other):
    assert one[0].keys() == other[0].keys()
    for name, tensor in one[0].items():
        assert tensor.equal(other[0][name]), name
    assert one[1].equals(other[1])
    assert one[2].equals(other[2])


def test_what_a_run_leaves_behind(handoff, base, tmp_path):
    events = run(handoff(), tmp_path / "out")
    start, steps, done = events[0], events[1:-1], events[-1]
    assert [event["event"] for event in (start, steps[0], done)] == ["start", "step", "done"]
    assert start["rows"] == 60
    assert 0.9 < start["pack_efficiency"] <= 1
    assert [event["step"] for event in steps] == list(range(1, start["steps"] + 1))
    assert steps[-1]["loss"] < steps[0]["loss"] - 1

    rows = pq.read_table(tmp_path / "out/train_metrics.parquet")
    assert [str(field.type) for field in rows.schema] == ["string", "int32", "int32", "int32", "float"]
    assert sorted(rows["row_id"].to_pylist()) == sorted([f"r{i}" for i in range(60)] * 3)
    assert set(rows["epoch"].to_pylist()) == {0, 1, 2}
    tokens = pq.read_table(tmp_path / "out/train_steps.parquet")["target_tokens"].to_pylist()
    assert sum(rows["n_tokens"].to_pylist()) == sum(tokens)
    total = sum(row["n_tokens"] * row["loss"] for row in rows.to_pylist() if row["step"] == 1)
    assert total / tokens[0] == pytest.approx(steps[0]["loss"], rel=1e-5)

    record = json.loads((tmp_path / "out/model/training.json").read_text())
    assert record["data"] == json.loads((tmp_path / "handoff/handoff.json").read_text())["data"]["fingerprint"]
    assert record["params"]["batch_size"] == 4
    assert "torch" in record["versions"]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tuned, tokenizer = (auto.from_pretrained(tmp_path / "out/model") for auto in (AutoModelForCausalLM, AutoTokenizer))
    assert tuned.dtype == AutoModelForCausalLM.from_pretrained(base).dtype
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(base).chat_template
    assert not list((tmp_path / "out").glob(".*"))


def test_a_finished_run_is_not_repeated_and_not_overwritten(handoff, tmp_path, capsys):
    folder = handoff(max_steps=1)
    assert train(SFT, folder, tmp_path / "out", json_lines=True)
    written = (tmp_path / "out/model/model.safetensors").stat().st_mtime_ns
    assert main(SFT, [str(folder), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/model/model.safetensors").stat().st_mtime_ns == written
    assert main(SFT, [str(handoff(max_steps=2)), "--out", str(tmp_path / "out")]) == 1
    assert "params.max_steps was 1 and is 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    "extra",
    [
        {},
        pytest.param({"optimizer": "muon"}, marks=pytest.mark.slow),
        pytest.param({"lora_rank": 4, "lora_dropout": 0.1}, marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed_equals_the_unbroken_run_bit_for_bit(handoff, tmp_path, extra):
    folder = handoff(save_steps=3, **extra)
    assert train(SFT, folder, tmp_path / "straight")
    code, events = interrupted(folder, tmp_path / "broken", signal.SIGKILL, 7)
    assert code == -signal.SIGKILL
    assert events[-1]["step"] < events[0]["steps"]
    checkpoints = sorted(path.name for path in (tmp_path / "broken/checkpoints").glob("step-*"))
    assert checkpoints[-1] in ("step-000006", "step-000009")  # epochs have seven steps
    assert train(SFT, folder, tmp_path / "broken")
    assert_same(lasting(tmp_path / "straight"), lasting(tmp_path / "broken"))


def test_told_to_stop_it_leaves_a_checkpoint_and_goes_on_from_there(handoff, tmp_path):
    folder = handoff()
    assert train(SFT, folder, tmp_path / "straight")
    code, events = interrupted(folder, tmp_path / "broken", signal.SIGTERM, 2)
    assert code == 130
    assert events[-1]["event"] == "stopped"
    stopped = events[-1]["step"]
    assert [path.name for path in (tmp_path / "broken/checkpoints").iterdir()] == [f"step-{stopped:06d}"]
    assert not (tmp_path / "broken/model").exists()
    assert train(SFT, folder, tmp_path / "broken")
    assert_same(lasting(tmp_path / "straight"), lasting(tmp_path / "broken"))


def test_other_data_are_refused_with_the_reason(handoff, tmp_path):
    train(SFT, handoff(save_steps=2, max_steps=5), tmp_path / "out")
    shutil.rmtree(tmp_path / "out/model")
    with pytest.raises(HandoffError, match=r"checkpoint of another training .data was .* and is") as refusal:
        train(SFT, handoff(talks(60, seed=1), save_steps=2, max_steps=5), tmp_path / "out")
    assert "give another --out" in str(refusal.value)


def test_adapters_are_saved_and_merged(handoff, base, tmp_path):
    train(SFT, handoff(lora_rank=4, max_steps=4, learning_rate=0.05, gradient_checkpointing=True), tmp_path / "out")
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    plain, merged = (AutoModelForCausalLM.from_pretrained(path) for path in (base, tmp_path / "out/model"))
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "out/adapter")
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        before, ours, theirs = (model(input_ids=ids).logits for model in (plain, merged, adapted))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert (ours - before).abs().max() > 0.1
    assert merged.get_input_embeddings().weight.equal(plain.get_input_embeddings().weight)


def test_a_quantised_base_needs_a_gpu(handoff, tmp_path):
    with pytest.raises(HandoffError, match=r"params.quantization is '4bit', which needs a GPU"):
        train(SFT, handoff(lora_rank=4, quantization="4bit"), tmp_path / "out")
    with pytest.raises(HandoffError, match=r"a quantised base can't be trained: give lora_rank"):
        train(SFT, handoff(quantization="4bit"), tmp_path / "out")


def test_fresh_weights_follow_from_the_seed(handoff, base, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(base, bare)
    (bare / "model.safetensors").unlink()
    record = tmp_path / "handoff/handoff.json"
    folder = handoff(init="random", max_steps=2)
    record.write_text(record.read_text().replace(str(base), str(bare)))
    for name in ("one", "two"):
        train(SFT, folder, tmp_path / name)
    one, two = (load_file(tmp_path / name / "model/model.safetensors") for name in ("one", "two"))
    assert all(one[name].equal(two[name]) for name in one)
    assert not one["model.embed_tokens.weight"].equal(
        load_file(base / "model.safetensors")["model.embed_tokens.weight"]
    )


def test_bfloat16_goes_nearly_as_float32(handoff, tmp_path):
    losses = []
    for dtype in ("float32", "bfloat16"):
        train(SFT, handoff(dtype=dtype, max_steps=6), tmp_path / dtype)
        losses.append(pq.read_table(tmp_path / dtype / "train_steps.parquet")["loss"].to_pylist())
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)
    assert losses[0] != losses[1]


def test_a_tokenizer_that_the_preflight_did_not_see_is_refused(handoff, tmp_path):
    folder = handoff(max_steps=1)
    record = json.loads((folder / "handoff.json").read_text())
    (folder / "handoff.json").write_text(json.dumps({**record, "hashes": {"tokenizer": "0" * 64}}))
    with pytest.raises(HandoffError, match=r"the tokenizer of .* isn't what the pre-flight"):
        train(SFT, folder, tmp_path / "out")


def test_what_is_wrong_is_said_in_one_line(tmp_path, capsys):
    assert main(SFT, [str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "handoff.json doesn't exist" in capsys.readouterr().err
