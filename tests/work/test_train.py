"""Models as nodes, with the real trainer and a real tiny model: built once, gone on with, served, and asked by SQL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from project import Project
from tiny_model import build_tiny_model

from engine.errors import SetwrightError
from engine.fingerprint import fingerprint
from engine.store import Store
from engine.work import train

pytestmark = pytest.mark.slow

SPEC = """
run: {LAUNCH}
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32, max_tokens: 4, temperature: 0}}
  tuned:
    train: sft
    base: tiny
    data: talk
    params: {epochs: EPOCHS, batch_size: 1, max_length: 64, learning_rate: RATE, save_steps: 1, dtype: float32}
    tags: [students]
tables:
  talk:
    source: data.jsonl
    tests: [{rows: {min: LEAST}}]
  exam:
    source: exam.jsonl
  before:
    generate: respond
    from: exam
    model: tiny
  after:
    generate: respond
    from: exam
    model: tuned
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


class Training(Project):
    """A project that trains a model; `spec` takes what a test varies."""

    def vary(self, *, epochs=1, rate=0.01, least=2, launch=""):
        values = {"EPOCHS": epochs, "RATE": rate, "LEAST": least, "LAUNCH": launch}
        text = SPEC
        for word, value in values.items():
            text = text.replace(word, str(value))
        self.spec(text)
        return self


@pytest.fixture
def project(tmp_path, tiny, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "tiny").symlink_to(tiny)
    project = Training(tmp_path).vary()
    project.data([{"instruction": f"What is {i}?", "output": "The sea is wide and blue."} for i in range(6)])
    return project.data([{"text": "Name the colours."}, {"text": "What is 7 + 8?"}], "exam.jsonl")


def test_a_model_is_built_once_and_answers(project):
    states = project.states()
    assert set(states.values()) == {"built"}
    assert list(project.home.glob("training/*")) == []
    assert set(project.states().values()) == {"cached"}
    folder = Store(project.home).model(project.plan().steps["tuned"].fingerprint)
    assert (folder / "model.safetensors").read_bytes() != (project.folder / "tiny" / "model.safetensors").read_bytes()
    before, after = (dict(project.sql(f"SELECT instruction, response FROM {t}")) for t in ("before", "after"))
    assert before.keys() == after.keys()
    assert before != after, "the trained weights answer"
    trained = json.loads((folder / "training.json").read_text())
    ref = Store(project.home).ref("trial", "talk")
    assert trained["data"] == fingerprint({"relation": ref["relation"], "reads": {"messages": "messages"}})


def test_what_each_row_and_step_was_is_a_query(project):
    project.vary(epochs=2).build()
    rows = project.sql("SELECT epoch, count(DISTINCT row_id), min(n_tokens) > 0 FROM train_metrics GROUP BY ALL")
    assert len(rows) == 2
    assert {(n, positive) for _, n, positive in rows} == {(6, True)}
    assert project.sql("SELECT count(*) FROM train_metrics JOIN talk USING (row_id) WHERE model = 'tuned'") == [(12,)]
    (steps, last), *_ = project.sql("SELECT count(*), max(step) FROM train_steps WHERE model = 'tuned'")
    assert steps == last > 0
    assert project.sql("SELECT count(*) FROM information_schema.tables WHERE table_name = 'tuned'") == [(0,)]


def test_other_params_train_the_model_and_what_stands_on_it_alone(project):
    project.build()
    states = project.vary(rate=0.02).states()
    assert {name for name, state in states.items() if state == "built"} == {"tuned", "after"}
    steps = project.vary(rate=0.03).plan().steps
    assert steps["tuned"].why == ("params.learning_rate: 0.02 -> 0.03",)
    assert steps["after"].why == ("tuned changed",)


def test_a_failed_data_test_stops_the_training(project):
    report = project.vary(least=9).build()
    details = {step["step"]: (step["state"], step["detail"]) for step in report.steps}
    assert report.exit_code == 1
    assert details["tuned"] == ("skipped", "talk.tests: rows(min=9) failed")
    assert details["after"] == ("skipped", "tuned has no result")
    assert details["before"][0] == "built"


@pytest.fixture
def resumed(monkeypatch):
    """The steps from which trainings began, as their trainers told."""
    found, show = [], train._show

    def spy(job, line):
        show(job, line)
        if b'"start"' in line:
            found.append(json.loads(line)["resumed_at"])

    monkeypatch.setattr(train, "_show", spy)
    return found


def checkpoints(project):
    return [int(p.name.rpartition("-")[2]) for p in project.home.glob("training/*/out/checkpoints/step-*")]


def when(condition, act):
    """Do something on a thread of its own as soon as a condition holds, within a minute."""

    def watch():
        for _ in range(1200):
            if condition():
                act()
                return
            time.sleep(0.05)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def assert_whole(project):
    """Every step was taken once."""
    steps = [step for (step,) in project.sql("SELECT step FROM train_steps ORDER BY step")]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= 20


def test_a_training_that_was_stopped_goes_on(project, resumed):
    project.vary(epochs=20)
    when(lambda: max(checkpoints(project), default=0) >= 3, lambda: os.kill(os.getpid(), signal.SIGINT))
    report = project.build()
    assert report.exit_code == 130
    assert {s["step"]: s["state"] for s in report.steps}["tuned"] == "skipped"
    assert project.plan().steps["tuned"].why == ("a training that did not end goes on",)
    assert project.states()["tuned"] == "built"
    assert resumed[0] == 0
    assert resumed[1] >= 3
    assert_whole(project)


def test_a_training_that_was_killed_goes_on(project, resumed):
    project.vary(epochs=20)
    call = "from engine.cli import main; main()"
    command = [sys.executable, "-c", call, "train", str(project.file), "tuned", "--home", str(project.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as build:
        when(lambda: max(checkpoints(project), default=0) >= 3 or build.poll() is not None, build.kill).join()
    assert build.returncode == -signal.SIGKILL
    assert_trainer_ends(project)
    assert project.states()["tuned"] == "built"
    assert resumed[-1] >= 3
    assert_whole(project)


def assert_trainer_ends(project):
    """A trainer whose build is gone has nobody to tell of its steps, and ends."""
    place = str(project.home / "training")
    for _ in range(200):
        if not any(place in " ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])):
            return
        time.sleep(0.1)
    raise AssertionError("the trainer goes on without its build")


def test_the_preflight_refuses_and_good_data_goes_on(project):
    project.data([{"instruction": "Long", "output": f"sea {i} " * 200} for i in range(3)])
    report = project.build()
    state = {step["step"]: (step["state"], step["detail"]) for step in report.steps}
    assert report.exit_code == 1
    assert state["tuned"][0] == "failed"
    assert "the pre-flight refuses the data" in state["tuned"][1]
    assert "max_length" in state["tuned"][1]
    assert state["after"] == ("skipped", "tuned has no result")
    assert project.plan().steps["tuned"].why == ("never built",)


def test_what_a_trainer_says_is_in_the_error(project, tmp_path):
    script = tmp_path / "launch.sh"
    script.write_text("echo starting; echo the cluster is full >&2; exit 3\n")
    report = project.vary(launch=f"launch: sh {script}").build()
    detail = {step["step"]: step["detail"] for step in report.steps}["tuned"]
    assert report.exit_code == 2
    assert "train: sft ended with status 3:\n  the cluster is full" in detail
    assert project.vary(launch=f"launch: env {sys.executable}").states()["tuned"] == "built", "run is in no identity"


def test_training_needs_its_packages_before_anything_runs(project, monkeypatch):
    monkeypatch.setattr(train, "PACKAGES", ("torch", "no_such_package"))
    with pytest.raises(SetwrightError, match="training tuned needs no_such_package, not installed") as error:
        project.build()
    assert error.value.cure == "pip install 'setwright[train]'"
    assert not (project.home / "objects").exists()
