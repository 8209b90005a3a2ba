"""Training for rewards that the build gives, with the real trainer: built once, made anew, stopped and gone on with."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from fake_server import Fault
from project import Project
from tiny_model import build_tiny_model

pytestmark = pytest.mark.slow

SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32}}
  judge: {use: JUDGE}
  tuned:
    train: pama
    base: tiny
    data: asked
    params:
      batch_size: 2
      max_length: 64
      max_new_tokens: 6
      epochs: EPOCHS
      max_steps: STEPS
      save_steps: SAVE
      dtype: float32
      bad_rewards: BAD
      rewards:
        - {name: liked, score: SCORE, model: judge, columns: {COLUMNS}, column: COLUMN}
        - {use: length, name: long, scale: 6, low: 0, high: 1}
        - {name: brief, sql: "1.0 / (1 + length(response))"}
tables:
  asked: {source: data.jsonl}
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


class Training(Project):
    def vary(self, *, judge="scripted", epochs=1, steps=2, save=0, bad="error", vectors=False):
        score = ("embedding", "text: response", '"embedding[1]"') if vectors else ("reward", "", "reward")
        values = dict(zip(("SCORE", "COLUMNS", "COLUMN"), score, strict=True))
        values |= {"JUDGE": judge, "EPOCHS": epochs, "STEPS": steps, "SAVE": save, "BAD": bad}
        text = SPEC
        for word in sorted(values, key=len, reverse=True):
            text = text.replace(word, str(values[word]))
        self.spec(text)
        return self


@pytest.fixture
def project(tmp_path, tiny, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "tiny").symlink_to(tiny)
    return Training(tmp_path).vary().data([{"instruction": f"What is {i}?", "output": "x"} for i in range(6)])


def test_a_model_is_trained_for_the_rewards_that_the_build_gives(project):
    report = project.build()
    assert report.exit_code == 0, report.steps
    (tuned,) = (step for step in report.steps if step["step"] == "tuned")
    assert (tuned["calls_sent"], tuned["failed"]) == (4, 0)
    rows = project.sql('SELECT response, "reward/liked", "reward/long", "reward/brief" FROM train_metrics')
    assert len(rows) == 4
    assert [brief for *_, brief in rows] == pytest.approx([1 / (1 + len(response)) for response, *_ in rows])
    answered = "SELECT count(DISTINCT call_id) FROM row_calls JOIN train_metrics USING (row_id) WHERE step = 'tuned'"
    assert project.sql(answered.replace("WHERE step", "WHERE row_calls.step")) == [(4,)]
    means = 'SELECT step, avg("reward/liked") FROM train_metrics GROUP BY step ORDER BY step'
    told = dict(project.sql('SELECT step, "reward/liked" FROM train_steps'))
    assert dict(project.sql(means)) == pytest.approx(told)
    assert set(project.states().values()) == {"cached"}
    why = project.vary(judge='scripted, params: {default: "other"}').plan().steps["tuned"].why
    assert any("rewards.liked.model" in reason for reason in why)


def test_a_training_that_was_stopped_asks_nothing_twice_and_ends_as_an_unbroken_one(project):
    project.vary(epochs=6, steps=16, save=1)

    def stop():
        for _ in range(1200):
            found = project.home.glob("training/*/out/checkpoints/step-*")
            if any(int(path.name.rpartition("-")[2]) >= 3 for path in found):
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.05)

    threading.Thread(target=stop, daemon=True).start()
    assert project.build().exit_code == 130
    before = project.calls()
    assert before >= 3
    assert project.states()["tuned"] == "built"
    steps = 'SELECT step, "reward/liked", "reward/brief", kl FROM train_steps ORDER BY step'
    resumed = project.sql(steps)
    assert [row[0] for row in resumed] == list(range(1, 17))
    assert project.sql("SELECT count(*) FROM calls") == project.sql(
        "SELECT count(DISTINCT call_id) FROM row_calls WHERE step = 'tuned'"
    ), "every call is behind an answer, and none was made twice"
    project.home = project.folder / "unbroken"
    project.build()
    assert project.sql(steps) == resumed


def test_an_answer_without_a_number_ends_the_training_or_is_left_out_as_the_spec_says(project, fake_server):
    server = fake_server(lambda _: Fault(status=400))
    judge = f'openai, model: m, base_url: "{server.url}", api_key: k, params: {{max_attempts: 1, patience_s: 1}}'
    report = project.vary(judge=judge, vectors=True).build()
    assert report.exit_code != 0
    (detail,) = (step["detail"] for step in report.steps if step["step"] == "tuned")
    assert "liked has no number for 2 of 2 answers" in detail
    assert "the last answer without a reward had none since liked: " in detail
    first = []

    def refuse_the_first(hit):
        first.append(hit.body["input"][0])
        return Fault(status=400) if first[0] in hit.body["input"] else None

    some = fake_server(refuse_the_first)
    project.vary(judge=judge.replace(server.url, some.url), vectors=True, bad="drop")
    report = project.build()
    assert report.exit_code == 0, report.steps
    assert project.sql('SELECT "bad/liked" FROM train_steps ORDER BY step') == [(1.0,), (0.0,)]
    assert project.sql("SELECT count(*) FROM errors WHERE step = 'tuned' AND error LIKE 'liked: %400%'") == [(1,)]
