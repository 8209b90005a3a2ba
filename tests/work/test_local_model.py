"""A real model in this process, from the spec: a relative path, answers and embeddings, all of it remembered."""

import shutil

import pytest
from project import Project
from tiny_model import build_tiny_model

SPEC = """
models:
  tiny: {use: transformers, model: models/tiny, params: {max_tokens: 8, dtype: float32, pooling: last}}
tables:
  prompts: {source: data.jsonl}
  answers:
    generate: respond
    from: prompts
    model: tiny
    params: {n: 2, temperature: 1.0}
    scores:
      - {score: embedding, model: tiny, columns: {text: response}}
"""


@pytest.mark.slow
def test_a_folder_of_weights_answers_and_embeds(tmp_path):
    build_tiny_model(tmp_path / "models" / "tiny")
    project = Project(tmp_path).spec(SPEC).data([{"instruction": f"Count to {i}", "output": ""} for i in range(6)])
    report = project.build()
    assert report.exit_code == 0, report.steps
    assert project.sql("SELECT count(*), count(DISTINCT response) > 6 FROM answers") == [(12, True)]
    assert project.sql("SELECT count(*) FROM row_calls WHERE step = 'answers'") == [(12,)]
    first = project.sql("SELECT row_id, response, embedding FROM answers ORDER BY row_id")
    shutil.move(tmp_path / "models", tmp_path / "elsewhere")  # an address is no identity
    project.spec(SPEC.replace("models/tiny", "elsewhere/tiny"))
    assert project.plan().pending() == []
    shutil.rmtree(project.home / "objects")
    sent = {s["step"]: s["calls_sent"] for s in project.build().steps}
    assert sum(sent.values()) == 0
    assert project.sql("SELECT row_id, response, embedding FROM answers ORDER BY row_id") == first
