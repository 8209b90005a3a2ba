"""Rounds in a plan: their steps, what makes which of them anew, and the queries that read them."""

import pytest
from project import Project

from engine.errors import SetwrightError, SpecError

SPEC = """
models:
  teacher: {use: scripted, params: {default: "{last_user} {draw}"}}
tables:
  seeds: {source: data.jsonl}
  best: {select: random, from: kept@last, params: {k: 1}}
  counts: {sql: "SELECT round, count(*) AS n FROM kept GROUP BY round"}
rounds:
  count: 2
  first: {kept: seeds}
  tables:
    drafts: {generate: respond, from: kept@previous, model: teacher, scores: [length]}
    kept: {select: random, from: drafts, params: {share: 1.0}}
"""


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path).data([{"instruction": word} for word in ("one", "two")]).spec(SPEC)


def prints(plan):
    return {name: step.fingerprint for name, step in plan.steps.items()}


def problems(project, text):
    with pytest.raises(SpecError) as error:
        project.spec(text).plan()
    return [f"{problem.path}: {problem.message}" for problem in error.value.problems]


def test_each_round_is_steps_of_its_own(project):
    steps = project.plan().steps
    assert set(steps) - {"seeds", "best", "counts"} == {
        f"{name}@{i}" for name in ("drafts", "kept") for i in (1, 2)
    } | {"drafts@1.length", "drafts@2.length"}
    assert steps["drafts@2"].needs == ("kept@1", "drafts@1")
    assert dict(steps["counts"].inputs) == {"kept@1.rows": "kept@1", "kept@2.rows": "kept@2"}


def test_rounds_draw_differently_whatever_number_there_is(project):
    two = project.plan().steps
    three = project.spec(SPEC.replace("count: 2", "count: 3")).plan().steps
    seeds = [three[f"drafts@{i}"].body["seed"] for i in (1, 2, 3)]
    assert len({*seeds, 7}) == 4
    assert max(seeds) < 2**31
    assert [two[f"drafts@{i}"].body["seed"] for i in (1, 2)] == seeds[:2]


def test_a_further_round_leaves_those_before_it_as_they_are(project):
    project.build()
    longer = project.spec(SPEC.replace("count: 2", "count: 3")).plan()
    missing = {name for name, step in longer.steps.items() if step.status == "missing"}
    assert missing == {"drafts@3", "drafts@3.length", "kept@3", "best", "counts"}
    assert longer.steps["counts"].why == ("now reads kept@3.rows (of kept@3)",)


def test_a_change_makes_its_round_anew_and_what_stands_on_it(project):
    before = prints(project.plan())
    change = "  change: [{round: 2, tables: {kept: {params: {share: 0.5}}}}]\n"
    after = prints(project.spec(SPEC + change).plan())
    assert {name for name in before if before[name] != after[name]} == {"kept@2", "best", "counts"}


def test_a_column_that_is_not_there_is_told_once(project):
    query = "    long: {sql: SELECT instruction FROM kept WHERE n_letters > 3}\n"
    (said,) = problems(project, SPEC + query)
    assert said.startswith('rounds.tables.long.sql: Referenced column "n_letters" not found')


def test_no_table_of_rounds_has_a_column_round(project):
    (said,) = problems(project, SPEC + '    own: {sql: "SELECT instruction, 1 AS round FROM kept"}\n')
    assert said == (
        "rounds.tables.own: a table of rounds can't have a column 'round', which tells them apart; name it otherwise"
    )


@pytest.mark.parametrize(
    ("query", "given"),
    [
        ("SELECT count(*) FROM kept", "count_star() (int64)"),
        ("SELECT true AS a, round > 1 AS b FROM kept", "a (bool), b (bool)"),
    ],
)
def test_a_stop_rule_gives_one_boolean(project, query, given):
    (said,) = problems(project, SPEC.replace("count: 2", f"count: 3\n  until: {query}"))
    assert said == f"rounds.until: a stop rule gives one boolean, and this gives {given}"


def test_every_step_of_a_round_waits_for_the_question_before_it(project):
    plan = project.spec(SPEC.replace("count: 2", "count: 2\n  until: SELECT max(round) > 5 FROM kept")).plan()
    waiting = {name for name, step in plan.steps.items() if "rounds.until@1" in step.needs}
    assert waiting == {"drafts@2", "drafts@2.length", "kept@2"}


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        ("kept@1", {"kept@1"}),
        ("kept@last", {"kept@2"}),
        ("kept", {"kept@1", "kept@2"}),
        ("kept@*", {"kept@1", "kept@2"}),
        ("+kept@1", {"seeds", "drafts@1", "drafts@1.length", "kept@1"}),
        ("1+kept@2+1", {"drafts@2", "drafts@2.length", "kept@2", "best", "counts"}),
    ],
)
def test_rounds_in_a_selection(project, selection, chosen):
    steps = project.plan(selection=selection).steps
    assert {name for name, step in steps.items() if step.status != "not selected"} == chosen


def test_a_round_that_there_is_not_in_a_selection(project):
    for name in ("kepd@2", "kept@9", "seeds@last"):
        with pytest.raises(SetwrightError, match=f"there is no node '{name[:4]}"):
            project.plan(selection=name)
