"""What a plan states of calls and tokens holds afterwards: counts where it counts, spans elsewhere."""

import random

import pytest
from project import Project

from engine.explore.queries import shipped_queries
from engine.plan.estimate import samples
from engine.plan.spans import NOTHING, Span, exactly

ASKED = ("calls", "tokens_in", "tokens_out")
WORDS = ("river", "stone", "early", "bright", "window", "seven", "garden", "letter", "under", "slowly", "north", "old")

CHAIN = """
models:
  teacher: {use: scripted, params: {replies: [{match: "", reply: REPLIES}]}}
  judge: {use: scripted, params: {default: '"input_quality": "good", "explanation": "plain and clear enough"}'}}
tables:
  asked: {source: data.jsonl, params: {shape: raw}}
  answers: {generate: respond, from: asked, model: teacher, params: {n: 2, max_tokens: 64}}
  judged:
    sql: SELECT row_id, response AS instruction, sample FROM answers WHERE length(response) > 60
    scores: [{score: magpie_quality, model: judge}]
  kept: {select: filter, from: judged, params: {where: "sample = 0"}}
  again: {generate: respond, from: kept, columns: {prompt: instruction}, model: teacher, params: {max_tokens: 64}}
"""


def words(rng, low, high):
    return " ".join(rng.choices(WORDS, k=rng.randint(low, high)))


def chain(folder, rows):
    rng = random.Random(5)
    replies = [f"{{draw}} {words(rng, 3, 40)}" for _ in range(60)]
    project = Project(folder).spec(CHAIN.replace("REPLIES", str(replies)))
    return project.data([{"prompt": f"{i}: {words(rng, 5, 50)}"} for i in range(rows)])


def sent(report):
    """Calls, tokens in and tokens out of every step that asked."""
    names = ("calls_sent", "tokens_in", "tokens_out")
    return {s["step"]: tuple(s[name] for name in names) for s in report.steps if s["calls_sent"]}


def stated(plan):
    return {name: tuple(getattr(step.estimate, what) for what in ASKED) for name, step in plan.steps.items()}


def holds(span, number):
    return span.low <= number <= (number if span.high is None else span.high)


def check(plan, report):
    """Every span, and every span of the total, holds the truth."""
    said, truth = stated(plan), sent(report)
    for name, spans in said.items():
        for what, span, number in zip(ASKED, spans, truth.get(name, (0, 0, 0)), strict=True):
            assert holds(span, number), f"{name}: {what}: {number} is not in {span}"
    for span, numbers in zip(plan.total, zip(*truth.values(), strict=True), strict=True):
        assert holds(span, sum(numbers))
    return truth


def test_a_first_plan_counts_what_it_can_and_bounds_the_rest(tmp_path):
    project = chain(tmp_path, 60)
    plan = project.plan()
    truth = check(plan, project.build())
    assert plan.steps["answers"].estimate.calls == exactly(120), "the source is read though it isn't built"
    assert plan.steps["answers"].estimate.tokens_out == Span(0, 120 * 64)
    assert plan.steps["judged"].estimate.rows == exactly(120)
    assert plan.steps["again"].estimate.calls == Span(0, 120)
    assert set(truth) == {"answers", "judged.magpie_quality", "again"}


def test_after_a_pilot_of_twenty_rows_a_plan_is_within_a_fifth(tmp_path):
    project = chain(tmp_path, 400)
    project.build(limit=20)
    plan = project.plan()
    truth = check(plan, project.build())
    for span, numbers in zip(plan.total, zip(*truth.values(), strict=True), strict=True):
        assert span.high is not None
        middle = (span.low + span.high) / 2
        assert middle == pytest.approx(sum(numbers), rel=0.2)


def test_a_limit_is_planned_as_it_is_built(tmp_path):
    project = chain(tmp_path, 60)
    plan = project.plan(limit=7)
    assert plan.steps["answers"].estimate.calls == exactly(14)
    check(plan, project.build(limit=7))


def test_what_is_built_or_not_selected_takes_nothing(tmp_path):
    project = chain(tmp_path, 10)
    assert stated(project.plan(selection="asked"))["answers"] == (NOTHING, NOTHING, NOTHING)
    project.build()
    assert project.plan().total == (NOTHING, NOTHING, NOTHING)


def test_calls_that_the_ledger_has_are_not_counted_again(tmp_path):
    project = chain(tmp_path, 30)
    project.build()
    project.file.write_text(project.file.read_text().replace("n: 2", "n: 3"))
    plan = project.plan()
    assert plan.steps["answers"].estimate.calls == exactly(30)
    check(plan, project.build())


TEXTS = """
models:
  writer:
    use: scripted
    params:
      replies:
        - {match: "line to write now", reply: ["one paragraph", "a paragraph of a few more words", "and a third one"]}
      default: "Paragraph 1\\nParagraph 2\\nParagraph 3"
      faults: FAULTS
tables:
  asked: {source: data.jsonl}
  texts: {generate: agent_write, from: asked, model: writer, params: {max_paragraphs: 6, max_tokens: 50}}
"""


def test_of_dialogues_that_broke_off_the_later_calls_are_bounded_too(tmp_path):
    data = [{"instruction": f"Write about {word}", "output": ""} for word in WORDS]
    project = Project(tmp_path).data(data).spec(TEXTS.replace("FAULTS", "[{kind: 500, times: always, match: '2$'}]"))
    first = project.build()
    assert sent(first)["texts"][0] == 2 * len(WORDS), "the plans and the first paragraphs"
    project.spec(TEXTS.replace("FAULTS", "[]"))
    plan = project.plan()
    calls = plan.steps["texts"].estimate.calls
    assert calls == Span(len(WORDS), len(WORDS) * (1 + 6 - 2)), "the second paragraph, and as many as may follow"
    assert check(plan, project.build())["texts"][0] == 2 * len(WORDS)


def test_dialogues_are_learned_from_those_that_ended(tmp_path):
    data = [{"instruction": f"Write about {word} {i}", "output": ""} for i in range(10) for word in WORDS]
    project = Project(tmp_path).data(data).spec(TEXTS.replace("FAULTS", "[]"))
    assert project.plan().steps["texts"].estimate.calls == Span(2 * 120, 7 * 120)
    project.build(limit=20)
    plan = project.plan()
    calls = plan.steps["texts"].estimate.calls
    assert check(plan, project.build())["texts"][0] == 4 * 100
    assert calls.high is not None
    assert calls.high - calls.low <= 0.11 * 400


def test_equal_texts_are_asked_once_and_the_plan_knows(tmp_path):
    spec = """
models: {judge: {use: scripted, params: {default: '"input_quality": "good", "explanation": "plain"}'}}}
tables:
  asked: {source: data.jsonl, params: {shape: raw}, scores: [{score: magpie_quality, model: judge}]}
"""
    project = Project(tmp_path).spec(spec).data([{"instruction": WORDS[i % 3]} for i in range(30)])
    plan = project.plan()
    assert plan.steps["asked.magpie_quality"].estimate.calls == exactly(3)
    check(plan, project.build())


@pytest.mark.parametrize("built", [False, True])
def test_of_a_large_table_some_rows_stand_for_all(tmp_path, monkeypatch, built):
    monkeypatch.setattr(samples, "SAMPLE_ROWS", 25)
    project = chain(tmp_path, 300)
    if built:
        project.build(selection="asked")
    plan = project.plan()
    calls = plan.steps["answers"].estimate.calls
    assert calls == (Span(570, 630) if built else Span(540, 600)), "of a source the lines are counted, good or bad"
    check(plan, project.build())


def test_of_a_large_table_half_answered_the_even_sample_tells(tmp_path, monkeypatch):
    project = chain(tmp_path, 300)
    project.build(limit=150)
    monkeypatch.setattr(samples, "SAMPLE_ROWS", 60)
    project.build(selection="asked")
    plan = project.plan()
    calls = plan.steps["answers"].estimate.calls
    assert calls.low < 300 < (calls.high or 0)
    assert not calls.exact
    check(plan, project.build())


def test_no_missing_call_among_some_rows_does_not_mean_none(tmp_path, monkeypatch):
    project = chain(tmp_path, 300)
    project.build()
    monkeypatch.setattr(samples, "SAMPLE_ROWS", 60)
    project.file.write_text(project.file.read_text().replace("n: 2", "n: 1"))
    assert project.plan().steps["answers"].estimate.calls == Span(0, 35), "7 / 60 of 300 rows"


def test_rows_that_were_alike_in_a_pilot_leave_the_lower_end_open(tmp_path):
    project = chain(tmp_path, 200)
    project.file.write_text(project.file.read_text().replace("{draw} ", ""))
    project.build(limit=20)
    plan = project.plan()
    assert plan.steps["judged.magpie_quality"].estimate.calls.low == 0, "sixty replies in all, and more and more known"
    check(plan, project.build())


def test_an_unknown_number_of_rows_is_said_to_be_unknown(tmp_path):
    project = chain(tmp_path, 20)
    project.file.write_text(project.file.read_text().replace("FROM answers WHERE", "FROM answers, asked AS b WHERE"))
    project.file.write_text(project.file.read_text().replace("SELECT row_id", "SELECT answers.row_id"))
    plan = project.plan()
    assert plan.steps["judged"].step.sources == ("answers", "asked")
    assert plan.steps["again"].estimate.calls == Span(0, None)
    assert plan.total[0] == Span(40, None)


def test_a_model_without_a_limit_leaves_the_tokens_out_open(tmp_path):
    project = chain(tmp_path, 20)
    project.file.write_text(project.file.read_text().replace(", max_tokens: 64", ""))
    plan = project.plan()
    assert plan.steps["answers"].estimate.tokens_out == Span(0, None)
    check(plan, project.build())


def test_a_build_keeps_what_was_planned_beside_what_was_sent(tmp_path):
    project = chain(tmp_path, 20)
    plan = project.plan()
    project.build()
    query = next(q.text for q in shipped_queries() if q.name == "plan_vs_run")
    rows = {row[0]: row[1:] for row in project.sql(query)}
    assert set(rows) == {"answers", "judged.magpie_quality", "again"}
    assert all(row[-1] for row in rows.values())
    span = plan.steps["answers"].estimate.tokens_in
    assert rows["answers"][:5] == (40, 40, 40, span.low, span.high)


JOINED = """
models:
  teacher: {use: scripted, params: {replies: [{match: "", reply: REPLIES}]}}
tables:
  asked: {source: data.jsonl, params: {shape: raw}}
  wording: {sql: "SELECT 'Say it in other words, and be brief about it: ' AS before"}
  answers: {generate: respond, from: asked, model: teacher, params: {max_tokens: 64}}
  framed: {sql: "SELECT a.row_id, before || a.response AS prompt FROM answers AS a, wording"}
  again: {generate: respond, from: framed, model: teacher, params: {max_tokens: 64}}
  pairs: {sql: "SELECT a.prompt FROM asked AS a, asked AS b"}
  others: {generate: respond, from: pairs, model: teacher, params: {max_tokens: 64}}
"""


def test_what_a_query_joins_and_writes_is_bounded_by_what_it_reads(tmp_path):
    rng = random.Random(6)
    project = Project(tmp_path).spec(JOINED.replace("REPLIES", str([words(rng, 3, 40) for _ in range(9)])))
    project.data([{"prompt": words(rng, 5, 50)} for _ in range(12)])
    plan = project.plan()
    again = plan.steps["again"].estimate
    assert (again.rows, again.calls) == (Span(0, 12), Span(0, 12)), "a table of one row multiplies nothing"
    assert again.tokens_in.high is not None
    assert plan.steps["others"].estimate.calls == Span(0, None), "two tables with several rows each may"
    check(plan, project.build())
