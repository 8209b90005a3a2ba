"""The view `judgements` and the query `judge_bias`: what is counted of two judges, by hand."""

import pytest
from project import Project

from engine.explore.queries import find_query

SPEC = """
models:
  reader: {use: scripted, params: {replies: [
    {match: "(?s)unsure.*<answer_a>", reply: "Well."},
    {match: "(?s)<answer_a>.good", reply: "[[A]]"}, {match: "(?s)<answer_b>.good", reply: "[[B]]"},
    {match: "", reply: "[[A]]"}]}}
  marker: {use: scripted, params: {default: 9 5}}
tables:
  pairs:
    source: data.jsonl
    scores:
      - {score: judge, model: reader}
      - {score: judge, model: marker, as: marked, params: {form: marks}}
"""
ROWS = [
    ("clear", "good", "poor and long", "chosen"),
    ("clear too", "poor", "good", "rejected"),  # as long
    ("wrong", "good one", "poor", "rejected"),
    ("by place", "one", "two", "tie"),  # [[A]] in both orders
    ("by place", "one", "three", "chosen"),
    ("unsure", "good", "poor", "chosen"),
    ("no label", "good", "poor thing", None),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    names = ("prompt", "chosen", "rejected", "label")
    project = Project(tmp_path_factory.mktemp("judged")).spec(SPEC)
    project.data([dict(zip(names, row, strict=True)) for row in ROWS])
    project.build()
    return project


def test_the_figures(project):
    query = f"SELECT * EXCLUDE (judge_model, judge_protocol) FROM ({find_query('judge_bias')}) ORDER BY step"
    reader, marker = project.sql(query)
    # Verdicts c r c tie tie - c on labels c r r tie c c and none: 3 of 6 agree, of 5 that were judged 3.
    # Chance there is (2 c * 2 c + 1 r * 2 r + 2 tie * 1 tie) / 25. Decided are 4 * 2 orders read rightly, of which half
    # are for the first place, and 2 * 2 of which all are. Of clear, wrong and no label the longer one wins once.
    by_chance = (2 * 2 + 1 * 2 + 2 * 1) / 25
    kappa = (3 / 5 - by_chance) / (1 - by_chance)
    figures = (2 / 6, (4 + 4) / 12, 1 / 3)
    assert reader == ("pairs.judge", 7, 6, *(round(x, 4) for x in figures), 6, 0.5, round(kappa, 4))
    assert marker[:5] == ("pairs.marked", 7, 7, 1.0, 1.0)
    assert (marker[5], marker[6], marker[7]) == (None, 6, round(1 / 6, 4))


def test_the_view_has_every_verdict_under_one_name(project):
    found = project.sql(
        "SELECT step, count(*), count(judge_verdict), count(judge_reason) FROM judgements GROUP BY 1 ORDER BY 1"
    )
    assert found == [("pairs.judge", 7, 6, 1), ("pairs.marked", 7, 7, 0)]
    assert project.sql("SELECT DISTINCT marked_judge_verdict FROM pairs") == [("tie",)]
