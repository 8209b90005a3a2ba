"""Folders of prompts with rewards that travel: trained from by the native trainer, and refused by all others."""

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

SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32}}
tables:
  asked: {source: data.jsonl}
handoffs:
  pama:
    data: asked
    format: pama
    base: tiny
    params:
      max_steps: 2
      batch_size: 2
      max_length: 64
      max_new_tokens: 4
      dtype: float32
      rewards:
        - {use: length, name: long, scale: 4, low: 0, high: 1}
        - {use: length, name: wordy, scale: 2, low: 0, high: 3, unit: words}
        - {use: model, name: kind, model: tiny}
"""


@pytest.fixture
def ordered(tmp_path):
    """`ordered(spec)`: the order of a hand-off, and its source."""
    build_tiny_model(tmp_path / "tiny")

    def make(spec=SPEC):
        project = Project(tmp_path).spec(spec).data([{"instruction": f"What is {i}?", "output": "x"} for i in range(4)])
        project.build()
        return make_order(project.plan(), Store(project.home), "pama")

    return make


def test_rewards_are_handed_over_in_full_and_a_classifier_by_its_place(ordered, tmp_path):
    order, _ = ordered()
    long, _, kind = order.params["rewards"]
    assert long == {"use": "length", "name": "long", "scale": 4.0, "low": 0.0, "high": 1.0, "unit": "tokens"}
    assert (kind["model"], kind["revision"], kind["batch_size"]) == (str(tmp_path / "tiny"), None, 32)


@pytest.mark.parametrize("target", ["trl", "llamafactory", "axolotl"])
def test_other_targets_train_for_no_rewards(ordered, tmp_path, target):
    with pytest.raises(Refused, match="it has no train: pama: hand over to native"):
        deliver(*ordered(), TARGETS[target], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_native_folder_trains_by_itself(ordered, tmp_path):
    lean = SPEC.replace("        - {use: model, name: kind, model: tiny}\n", "")
    done = deliver(*ordered(lean), TARGETS["native"], tmp_path / "out")
    assert done.command == "python -m trainers.pama . --out out"
    assert json.loads((done.folder / "handoff.json").read_text(encoding="utf-8"))["trainer"] == "pama"
    outcome = command(done)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    steps = pq.read_table(done.folder / "out/train_steps.parquet")
    assert steps.num_rows == 2
    assert {"reward/long", "reward/wordy"} <= {*steps.column_names}
