"""A scorer comes to be: a tiny model is trained on chains of rising complexity and ranks chains it has never seen."""

from __future__ import annotations

import random

import numpy as np
import pytest
from project import Project
from tiny_model import build_tiny_model

from engine.operators.scorers._deita import COMPLEXITY

pytest.importorskip("accelerate", reason="needs the extra `train`")

TOPICS = ("the sea", "a night", "a poem", "red and blue", "the score", "a response", "12 and 30", "the colours")
DEMANDS = ("say why", "name three", "be short", "as a poem", "for the night", "with a score", "in blue", "from the sea")
SPEC = """
models:
  base: {{use: transformers, model: "{base}", params: {{dtype: float32}}}}
  scorer:
    train: sft
    base: base
    data: chains
    params: {{format: completion, epochs: 5, learning_rate: 0.005, batch_size: 32, packing: false, max_length: 512}}
tables:
  chains: {{source: chains.jsonl, params: {{shape: raw}}}}
  unseen:
    source: unseen.jsonl
    params: {{shape: raw}}
    scores: [{{score: deita_complexity, model: scorer}}]
"""


def chains(count, rng):
    """Instructions with 0 to 5 demands added, as rows of a scorer: its prompt, and how many there are and one more."""
    for number in range(count):
        text = f"Write about {rng.choice(TOPICS)} no {number}"
        for score, demand in enumerate(["", *rng.sample(DEMANDS, 5)], 1):
            text += f"; {demand}" if demand else ""
            yield {"instruction": text, "prompt": COMPLEXITY.format(instruction=text), "completion": str(score)}


def ranks(values):
    """Mean ranks, ties sharing theirs."""
    values = np.asarray(values)
    return (values[:, None] > values).sum(1) + (values[:, None] == values).sum(1) / 2


@pytest.mark.slow  # torch is imported twice, and the tiny model is trained
def test_a_tiny_scorer_ranks_chains_that_it_has_never_seen(tmp_path):
    rng = random.Random(0)
    rows = list(chains(60, rng))
    rng.shuffle(rows)
    base = build_tiny_model(tmp_path / "base")
    project = Project(tmp_path).spec(SPEC.format(base=base)).data(rows, "chains.jsonl")
    project.data(list(chains(20, random.Random(1))), "unseen.jsonl")
    assert project.build().exit_code == 0
    found = project.sql("SELECT complexity, complexity_digit_mass, completion::INT FROM unseen")
    scores, masses, planted = (np.array(column) for column in zip(*found, strict=True))
    assert np.corrcoef(ranks(scores), ranks(planted))[0, 1] > 0.8
    assert masses.min() > 0.5
