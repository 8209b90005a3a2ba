"""Weights split over processes: the same training as with a copy in each, and a checkpoint that either goes on from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_model import build_tiny_model
from tuning import talks, write_handoff

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from safetensors.torch import load_file  # noqa: E402

from trainers.config import SftConfig  # noqa: E402
from trainers.errors import HandoffError  # noqa: E402

ROOT = Path(__file__).parents[3]
PARAMS = {"batch_size": 4, "micro_batch_size": 1, "max_length": 64, "learning_rate": 3e-3, "epochs": 2}


def trained(folder, out, processes):
    """Train under torch's launcher; the weights, and the losses of the steps."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    command = [sys.executable, *launch, "-m", "trainers.sft", str(folder), "--out", str(out), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    facts = json.loads(next(line for line in done.stdout.splitlines() if '"start"' in line))
    losses = pq.read_table(out / "train_steps.parquet")["loss"].to_pylist()
    return load_file(out / "model/model.safetensors"), losses, facts["resumed_at"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("adapters", [{}, {"lora_rank": 4, "learning_rate": 0.02}])
def test_it_trains_as_with_a_copy_in_each_process_and_goes_on_from_its_checkpoint(tmp_path, adapters):
    base, rows = build_tiny_model(tmp_path / "base"), talks(16)

    def handoff(**params):
        return write_handoff(tmp_path / "handoff", base, rows, **{**PARAMS, **adapters, **params})

    copies, losses, _ = trained(handoff(save_steps=2, keep_checkpoints=9), tmp_path / "copies", 2)
    shares, their_losses, _ = trained(handoff(sharding="full", save_steps=2), tmp_path / "shares", 2)
    assert their_losses == pytest.approx(losses, abs=1e-4)
    for name, weight in copies.items():
        torch.testing.assert_close(shares[name], weight, atol=2e-4, rtol=0, msg=name)
    out = tmp_path / "resumed"
    shutil.copytree(tmp_path / "copies/checkpoints/step-000002", out / "checkpoints/step-000002")
    resumed, _, started = trained(handoff(sharding="full"), out, 2)
    assert started == 2
    for name, weight in shares.items():
        torch.testing.assert_close(resumed[name], weight, atol=2e-4, rtol=0, msg=name)


def test_what_cannot_be_sharded_is_refused():
    for params in ({"optimizer": "muon"}, {"quantization": "4bit", "lora_rank": 4}):
        with pytest.raises(HandoffError, match="neither muon nor a quantised base can be sharded"):
            SftConfig(sharding="full", **params)
