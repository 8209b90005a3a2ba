"""Nodes of rounds by their names on the command line: kept@2, kept@last, and kept for all rounds."""

import pytest
from project import Project
from story import run
from tiny_model import build_tiny_model

SPEC = """
models:
  teacher: {use: scripted, params: {default: "{last_user} {draw}"}}
tables:
  seeds: {source: data.jsonl}
rounds:
  count: 3
  first: {kept: seeds}
  until: SELECT max(round) >= 2 FROM kept
  tables:
    drafts: {generate: respond, from: kept@previous, model: teacher, params: {temperature: 1.0}}
    kept:
      select: random
      from: drafts
      params: {share: 1.0}
      tests: [{rows: {min: 1}}]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("rounds")).spec(SPEC)
    project.data([{"instruction": "one"}, {"instruction": "two"}]).build()
    return project


def ask(project, command, *arguments):
    outcome = run(command, project.file, *arguments, "--home", project.home, "--json")
    return outcome.json


def test_show_and_why_take_the_last_round(project):
    last = ask(project, "show", "kept@last")
    assert last == ask(project, "show", "kept@2")
    told = ask(project, "why", "kept@last", last[0]["row_id"])
    assert (told["table"], told["stages"][0]["table"]) == ("kept@2", "seeds")


def test_a_round_that_the_rule_left_out_was_not_built(project):
    outcome = run("show", project.file, "kept@3", "--home", project.home)
    assert (outcome.code, "has no built table 'kept@3'" in outcome.err) == (2, True)


def test_tests_are_told_for_the_rounds_that_there_are(project):
    assert [told["table"] for told in ask(project, "test")] == ["kept@1", "kept@2"]


def test_the_plan_says_that_the_rounds_have_ended(project):
    told = run("plan", project.file, "--home", project.home).out
    assert told.endswith("\nthe stop rule ended the rounds after 2 of 3\n")
    assert "kept@3" not in told
    other = run("plan", project.file, "--home", project.folder / "other").out
    assert other.endswith("\nthe stop rule may end the rounds before the last of 3\n")


def test_diff_compares_a_round_with_itself(tmp_path):
    project = Project(tmp_path).spec(SPEC).data([{"instruction": word} for word in ("one", "two", "three", "four")])
    project.build()
    project.spec(SPEC.replace("share: 1.0", "share: 0.5")).build()
    told = ask(project, "diff", "kept@last")
    assert (told["table"], told["rows_before"], told["rows_after"]) == ("kept@2", 4, 1)


TRAINED = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32}}
tables:
  talk: {source: data.jsonl}
rounds:
  count: 3
  first: {student: tiny}
  until: SELECT max(round) = 2 FROM same
  models:
    student: {train: sft, base: student@previous, data: same, params: {max_length: 64, dtype: float32}}
  tables:
    same: {sql: SELECT * FROM talk}
"""


@pytest.mark.slow
def test_training_goes_to_the_last_round_that_there_is(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    build_tiny_model(tmp_path / "tiny")
    project = Project(tmp_path).spec(TRAINED)
    project.data([{"instruction": f"What is {i}?", "output": "The sea is wide."} for i in range(3)])
    for name in ("student@3", "student@3", "student@last"):  # the first time the rule has not been asked yet
        outcome = run("train", project.file, name, "--home", project.home)
        assert outcome.code == 0
        assert "\nstudent@2: " in outcome.out
