"""Folders of pairs that are trained from: by the native trainer, and by TRL for two steps."""

import json

import pyarrow.parquet as pq
import pytest
from handoff.launch import command
from project import Project
from tiny_model import build_tiny_model

from engine.handoff.deliver import TARGETS, deliver
from engine.handoff.order import make_order
from engine.handoff.preflight import Refused
from engine.store import Store

pytestmark = pytest.mark.slow

SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32}}
tables:
  pairs: {source: data.jsonl, params: {shape: preference}}
handoffs:
  dpo:
    data: pairs
    format: dpo
    base: tiny
    params: {max_steps: 2, batch_size: 2, max_length: 64, packing: false, dtype: float32, bad_pairs: drop}
"""
SOUND = [{"prompt": f"What is {i}?", "chosen": "The sea is wide.", "rejected": "No."} for i in range(6)]
SAME = {"prompt": "Why?", "chosen": "So.", "rejected": "So."}


@pytest.fixture
def ordered(tmp_path):
    """`ordered(rows)`: the order of a hand-off of these rows, and their source."""
    build_tiny_model(tmp_path / "tiny")

    def make(rows):
        project = Project(tmp_path).spec(SPEC).data(rows)
        project.build()
        return make_order(project.plan(), Store(project.home), "dpo")

    return make


def trained(delivery):
    outcome = command(delivery)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    return outcome


def test_the_native_folder_trains_by_itself(ordered, tmp_path):
    done = deliver(*ordered([*SOUND, SAME]), TARGETS["native"], tmp_path / "out")
    assert done.command == "python -m trainers.dpo . --out out"
    handoff = json.loads((done.folder / "handoff.json").read_text(encoding="utf-8"))
    assert (handoff["trainer"], handoff["data"]["rows"], done.rows) == ("dpo", 7, 6)
    trained(done)
    steps = pq.read_table(done.folder / "out/train_steps.parquet").to_pylist()
    assert len(steps) == 2
    assert steps[0]["loss"] == pytest.approx(0.693147, abs=1e-5)


def test_trl_trains_two_steps_from_the_folder(ordered, tmp_path):
    done = deliver(*ordered(SOUND), TARGETS["trl"], tmp_path / "out")
    outcome = trained(done)
    assert "2/2" in outcome.stderr
    assert (done.folder / "out/model.safetensors").exists()
    assert not (done.folder / "sft.yaml").exists()


def test_the_files_of_one_target_make_room_for_those_of_another(ordered, tmp_path):
    order, source = ordered(SOUND)
    done = deliver(order, source, TARGETS["llamafactory"], tmp_path / "out")
    assert (done.folder / "ranking/part-00000.parquet").exists()
    deliver(order, source, TARGETS["axolotl"], tmp_path / "out")
    names = {path.name for path in done.folder.iterdir()}
    assert names == {"data", "handoff.json", "preflight.json", "preflight.md", "README.md", "dpo.yaml"}


def test_pairs_that_a_target_would_train_on_against_the_order_are_refused(ordered, tmp_path):
    with pytest.raises(Refused, match="1 pairs have equal answers or an empty one"):
        deliver(*ordered([*SOUND, SAME]), TARGETS["trl"], tmp_path / "out")
    assert not (tmp_path / "out/dpo.yaml").exists()
