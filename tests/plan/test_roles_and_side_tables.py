"""Models in roles and side tables, as a plan and a build see them: what they change, and what they leave as it is."""

import pytest
from project import Project

from engine.errors import SpecError

SIDES = """
tables:
  seeds: {{source: seeds.jsonl, tests: [{tests}]}}
  rows: {{source: data.jsonl}}
  fresh:
    select: novelty
    from: rows
    with: {{seeds: seeds}}
    columns: {{seeds.text: {column}}}
"""
ROLES = """
models:
  rewriter: {{use: scripted, params: {{default: "{rewrite}"}}}}
  answering: {{use: scripted, params: {{default: "fine"}}}}
  judge: {{use: scripted}}
tables:
  rows: {{source: data.jsonl}}
  tree:
    generate: ultraprompt
    from: rows
    models: {{rewriter: {by}, responder: answering, reward: judge}}
    params: {{iterations: 2}}
"""
ROWS = [{"instruction": "Write a poem about the sea."}, {"instruction": "Add two and three."}]
SEEDS = [{"instruction": "Write a poem about the sea!", "question": "What is the time?", "note": "a"}]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def sides(project):
    project.data(ROWS).data(SEEDS, "seeds.jsonl")

    def spec(column="instruction", tests=""):
        return project.spec(SIDES.format(column=column, tests=tests))

    return spec


def test_a_side_table_is_read_as_a_whole_and_its_column_can_be_named(sides):
    project = sides()
    project.build()
    assert project.sql("SELECT instruction FROM fresh") == [("Add two and three.",)]
    (nearest,) = project.sql("SELECT nn_id FROM drops")
    assert nearest == project.sql("SELECT row_id FROM seeds")[0]
    sides("question").build()
    assert len(project.sql("SELECT * FROM fresh")) == 2


def test_only_what_is_read_of_a_side_table_counts(sides):
    project = sides()
    fingerprint = project.plan().steps["fresh"].fingerprint
    project.build()
    project.data([{**SEEDS[0], "instruction": "Count to ten."}], "seeds.jsonl")
    step = project.plan().steps["fresh"]
    assert (step.fingerprint != fingerprint, step.why) == (True, ("seeds changed",))


def test_a_failing_test_of_a_side_table_stops_what_reads_it(sides):
    project = sides(tests="{rows: {min: 5}}")
    assert project.states()["fresh"] == "skipped"


def test_a_missing_column_of_a_side_table_is_named(sides):
    with pytest.raises(SpecError, match=r"columns\.seeds\.text: .* reads the column 'answer', which seeds doesn't"):
        sides("answer").plan()


def test_each_role_has_its_own_model_and_its_own_place_in_the_identity(project):
    project.data(ROWS).spec(ROLES.format(by="rewriter", rewrite="Better, {{n}}."))
    before = project.plan().steps["tree"]
    assert set(before.body["models"]) == {"rewriter", "responder", "reward"}
    assert before.step.models == ("rewriter", "answering", "judge")
    project.build()
    project.spec(ROLES.format(by="answering", rewrite="Better, {{n}}."))
    assert any("models.rewriter" in reason for reason in project.plan().steps["tree"].why)


def test_the_calls_of_all_roles_stand_behind_a_row(project):
    project.data(ROWS[:1]).spec(ROLES.format(by="rewriter", rewrite="Better."))
    project.build()
    kinds = dict(project.sql("SELECT kind, count(*) FROM row_calls JOIN calls USING (call_id) GROUP BY kind"))
    assert set(kinds) == {"chat", "generate", "reward"}
