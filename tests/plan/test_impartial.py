"""A plan refuses a judge that wrote rows before it, by whatever way they came and whatever the spec calls it."""

from pathlib import Path

import pytest
from project import Project

from engine.errors import SpecError

MODELS = """
models:
  writer: {use: scripted, params: {default: "[[A]]"}}
  twin: {use: scripted, params: {default: "[[A]]"}}
  judge: {use: scripted, params: {default: "[[B]]"}}
  student: {train: sft, base: tiny, data: drafts}
  tiny: {use: embedded}
tables:
  prompts: {source: data.jsonl}
  drafts: {generate: respond, from: prompts, model: writer}
  others: {generate: respond, from: prompts, model: judge, params: {max_tokens: 8}}
"""
PAIRS = """
  pairs:
    sql: SELECT row_id, instruction AS prompt, response AS chosen, 'x' AS rejected FROM {table}
    scores: [{{score: judge, model: {by}, params: {{{params}}}}}]
"""
FILTER = "  kept: {select: filter, from: drafts, params: {where: sample = 0, reason: none}}\n"


@pytest.fixture
def plan(tmp_path):
    def planned(tables="", *, table="drafts", by="writer", params=""):
        text = MODELS + tables + PAIRS.format(table=table, by=by, params=params)
        return Project(tmp_path).spec(text).data([{"instruction": "Why?", "response": "So."}]).plan()

    return planned


@pytest.mark.parametrize(
    ("tables", "table"),
    [
        ("", "drafts"),
        (FILTER, "kept"),
        (FILTER + "  pool: {select: random, from: [prompts, kept], params: {k: 2}}\n", "pool"),
        ("  again: {generate: respond, from: drafts, model: judge, columns: {prompt: response}}\n", "again"),
        ("  joined: {sql: SELECT d.* FROM prompts AS p JOIN drafts AS d ON d.parent_id = p.row_id}\n", "joined"),
    ],
)
def test_the_rows_are_followed_to_the_model_that_wrote_them(plan, tables, table):
    with pytest.raises(SpecError) as refused:
        plan(tables, table=table)
    (problem,) = refused.value.problems
    assert problem.path == "tables.pairs.scores.0.model"
    assert problem.message == (
        "score: judge is impartial, and writer wrote rows of drafts (generate: respond): give it another model, "
        "or params.allow_self: true"
    )
    line = Path(problem.place.file).read_text().splitlines()[problem.place.line - 1]
    assert line[problem.place.column - 1 :].startswith("writer, params")


def test_another_name_is_no_other_model(plan):
    with pytest.raises(SpecError, match=r"writer \(the same as twin\) wrote rows of drafts"):
        plan(by="twin")


def test_a_trained_model_is_refused_its_own_rows_alone(plan):
    own = "  taught: {generate: respond, from: prompts, model: student}\n"
    with pytest.raises(SpecError, match="student wrote rows of taught"):
        plan(own, table="taught", by="student")
    assert plan(own, table="taught", by="tiny").steps["pairs.judge"]


def test_others_may_judge_and_so_may_the_writer_where_the_spec_says_so(plan):
    assert plan(by="judge").steps["pairs.judge"]
    assert plan(table="prompts").steps["pairs.judge"]
    assert plan(params="allow_self: true").steps["pairs.judge"]


def test_all_that_is_wrong_is_told_at_once(plan):
    with pytest.raises(SpecError) as refused:
        plan("  odd: {sql: SELECT nothing FROM prompts}\n")
    assert len(refused.value.problems) == 2


def test_a_model_that_only_gave_rewards_wrote_nothing(tmp_path):
    spec = """
models: {judge: {use: scripted, params: {default: "[[A]]"}}}
tables:
  answers: {source: data.jsonl, params: {shape: raw}}
  pairs: {generate: best_and_worst, from: answers, model: judge, scores: [{score: judge, model: judge}]}
"""
    rows = [{"messages": [{"role": "user", "content": "Why?"}], "responses": ["a", "b"]}]
    assert Project(tmp_path).spec(spec).data(rows).plan().steps["pairs.judge"]


def test_rounds_are_followed_back_to_the_first(tmp_path):
    spec = """
models:
  writer: {use: scripted, params: {default: "[[A]]"}}
  judge: {use: scripted, params: {default: "[[B]]"}}
tables:
  prompts: {source: data.jsonl}
  begun: {generate: respond, from: prompts, model: writer}
  pairs:
    sql: SELECT instruction AS prompt, response AS chosen, 'x' AS rejected FROM "better@last"
    scores: [{score: judge, model: writer}]
rounds:
  count: 3
  first: {better: begun}
  tables:
    better: {generate: respond, from: better@previous, model: judge}
"""
    project = Project(tmp_path).spec(spec).data([{"instruction": "Why?"}])
    with pytest.raises(SpecError, match="writer wrote rows of begun"):
        project.plan()
    project.file.write_text(project.file.read_text().replace("model: writer}]", "model: judge}]"))
    with pytest.raises(SpecError, match=r"judge wrote rows of better@3"):
        project.plan()
