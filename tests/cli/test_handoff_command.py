"""`handoff`: from a spec to a folder that trains elsewhere, or the reason why not."""

import json

import pytest
from project import Project
from story import run
from tiny_model import build_tiny_model

from engine.cli.handoff import command
from engine.handoff.deliver import TARGETS

SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32}}
tables:
  talk: {source: data.jsonl}
  few: {sql: SELECT * FROM talk, tests: [{rows: {min: 100}}]}
handoffs:
  sft: {data: talk, format: sft, base: tiny, params: {max_length: 64}}
  scant: {data: few, format: sft, base: tiny}
  heavy: {data: talk, format: sft, base: tiny, params: {optimizer: muon}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("to_hand_over")
    build_tiny_model(folder / "tiny")
    return Project(folder).spec(SPEC).data([{"instruction": f"What is {i}?", "output": "Wide."} for i in range(5)])


@pytest.fixture(scope="module")
def built(project):
    run("build", project.file, "--home", project.home)
    return project


def test_the_command_names_every_target():
    (to,) = (option for option in command.params if option.name == "target")
    assert set(to.type.choices) == set(TARGETS)


def test_what_is_not_built_is_named(project, tmp_path):
    outcome = run("handoff", project.file, "sft", "--home", tmp_path / "empty", "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "handoffs.sft: not built as the spec says: talk" in outcome.err
    assert '--select "+talk"' in outcome.err
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_no_hand_off(built):
    outcome = run("handoff", built.file, "stf", "--home", built.home)
    assert outcome.code == 2
    assert "no hand-off 'stf' (did you mean 'sft'?)" in outcome.err


def test_a_table_that_fails_its_tests_is_not_handed_over(built, tmp_path):
    outcome = run("handoff", built.file, "scant", "--home", built.home, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert "few fails its tests: rows(min=100)" in outcome.err


def test_what_the_target_can_not_do_is_refused(built, tmp_path):
    outcome = run("handoff", built.file, "heavy", "--to", "trl", "--home", built.home, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert "optimizer is muon, and trl knows only adamw" in outcome.err


def test_a_hand_off_is_no_part_of_any_identity(built):
    before = {name: step.fingerprint for name, step in built.plan().steps.items()}
    text = built.file.read_text(encoding="utf-8")
    built.file.write_text(text.replace("max_length: 64", "max_length: 65"), encoding="utf-8")
    assert {name: step.fingerprint for name, step in built.plan().steps.items()} == before
    built.file.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_it_says_what_was_written_and_how_to_train(built, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run("handoff", built.file, "sft", "--to", "axolotl", "--home", built.home)
    assert outcome.code == 0
    assert "5 rows" in outcome.out
    assert "cd handoffs/sft-axolotl && axolotl train sft.yaml" in outcome.out
    folder = tmp_path / "handoffs/sft-axolotl"
    assert {"data", "handoff.json", "preflight.json", "preflight.md", "README.md", "sft.yaml"} == {
        path.name for path in folder.iterdir()
    }
    again = run("handoff", built.file, "sft", "--to", "axolotl", "--home", built.home, "--json").json
    assert (again["folder"], again["rows"]) == ("handoffs/sft-axolotl", 5)
    report = json.loads((folder / "preflight.json").read_text(encoding="utf-8"))
    assert again["target_tokens"] == report["target_tokens"]
