"""Folders of rankings: trained from by the native trainer, and refused by all others."""

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
  judged: {source: data.jsonl}
handoffs:
  ranking:
    data: judged
    format: rank
    base: tiny
    columns: {train_ranking: order}
    params: {batch_size: 2, packing: false, max_length: 64, dtype: float32, bad_rows: drop}
"""
ROWS = [{"prompt": f"What is {i}?", "responses": ["No.", "It is.", "red"], "order": [1, 2, 0]} for i in range(4)]
BAD = {"prompt": "Why?", "responses": ["So.", "No."], "order": [0]}


@pytest.fixture
def ordered(tmp_path):
    """The order of a hand-off, and its source."""
    build_tiny_model(tmp_path / "tiny")
    project = Project(tmp_path).spec(SPEC).data([*ROWS, BAD])
    project.build()
    return make_order(project.plan(), Store(project.home), "ranking")


@pytest.mark.slow
def test_the_native_folder_trains_by_itself(ordered, tmp_path):
    done = deliver(*ordered, TARGETS["native"], tmp_path / "out")
    assert (done.command, done.rows) == ("python -m trainers.rank . --out out", 4)
    handoff = json.loads((done.folder / "handoff.json").read_text(encoding="utf-8"))
    assert handoff["data"]["columns"] == ["row_id", "prompt", "responses", "train_ranking"]
    outcome = command(done)
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    assert pq.read_table(done.folder / "out/train_steps.parquet").num_rows == 2


@pytest.mark.parametrize("target", ["trl", "llamafactory", "axolotl"])
def test_no_other_target_has_rankings(ordered, tmp_path, target):
    with pytest.raises(Refused, match=f"{target} can't train it as it is:\n  it has no train: rank: hand over to nat"):
        deliver(*ordered, TARGETS[target], tmp_path / "out")
    assert not (tmp_path / "out").exists()
