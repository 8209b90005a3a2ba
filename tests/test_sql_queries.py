"""The shipped queries: each runs on any catalog, and says what it claims to."""

import re

import pytest
from project import Project
from story import run, tell

from engine.explore.queries import shipped_queries

QUERIES = {query.name: query for query in shipped_queries()}


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    story = tell(tmp_path_factory.mktemp("story"))
    story.build()
    return story


def ask(story, name):
    outcome = run("sql", story.file, name, "--home", story.home, "--json")
    assert outcome.code == 0, outcome.err
    return outcome.json


def test_every_query_has_a_purpose_and_is_listed():
    lines = run("sql", "--list").out.splitlines()[1:]
    assert [line.split(maxsplit=1) for line in lines] == [[q.name, q.purpose] for q in QUERIES.values()]
    assert all(re.fullmatch(r"[a-z_]+", name) and query.purpose for name, query in QUERIES.items())
    assert all(query.text.startswith("-- ") for query in QUERIES.values())


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_runs_on_a_catalog_in_which_nothing_happened(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp() / "plain"
    project = Project(folder)
    if not folder.exists():
        folder.mkdir()
        project.spec("tables:\n  pool: {source: data.jsonl}\n").data([{"text": "one"}]).build()
    rows = ask(project, name)
    assert len(rows) == (1 if name in ("funnel", "yield_by_table", "build_times") else 0)


def test_funnel(story):
    rows = {row["table_name"]: row for row in ask(story, "funnel")}
    assert list(rows) == ["questions", "answers", "spoken", "curated", "long_ones", "mixed.from", "mixed"]
    assert rows["questions"]["lost"] == "1 rejected"
    assert rows["answers"] | {"made_by": None} == {
        "table_name": "answers", "made_by": None, "rows_in": 6, "rows_out": 5, "lost": "1 failed"
    }  # fmt: skip
    assert (rows["spoken"]["rows_out"], rows["spoken"]["lost"]) == (4, "1 too short")
    assert (rows["curated"]["rows_out"], rows["curated"]["lost"]) == (2, "1 budget, 1 near_duplicate")


def test_drops(story):
    reasons = {(r["table_name"], r["drop_reason"]): (r["rows"], r["share"]) for r in ask(story, "drops_by_reason")}
    assert reasons == {
        ("curated", "budget"): (1, 0.5), ("curated", "near_duplicate"): (1, 0.5),
        ("mixed", "not_drawn"): (5, 1.0), ("spoken", "too short"): (1, 1.0),
    }  # fmt: skip
    [near] = ask(story, "near_threshold")
    assert (near["row_id"], near["nn_id"]) == (story.answer("stream"), story.answer("river"))
    assert 0.9 < near["similarity"] < 1
    [displacing] = ask(story, "displaced_by")
    assert (displacing["kept_row"], displacing["displaced"]) == (story.answer("river"), 1)


def test_what_went_wrong(story):
    [reject] = ask(story, "rejects_by_reason")
    assert (reject["table_name"], reject["field"], reject["records"]) == ("questions", "text", 1)
    assert reject["first_place"].endswith("questions.jsonl:7")
    [error] = ask(story, "errors_by_step")
    assert (error["step"], error["transient"], error["rows"]) == ("answers", True, 1)
    assert error["example"] == story.question("storm")
    [failed] = ask(story, "failed_tests")
    assert (failed["table_name"], failed["severity"], failed["detail"]) == ("curated", "warn", "2 rows")


def test_calls(story):
    [model] = ask(story, "calls_by_model")
    assert (model["model"], model["kind"], model["answered"], model["failed"]) == ("teacher", "chat", 5, 1)
    words = 11 + 10 + 9 + 3 + 1  # of the five replies
    assert (model["tokens_in"], model["tokens_out"]) == (25, words)
    [error] = ask(story, "calls_by_error")
    assert (error["calls"], error["attempts"]) == (1, 8)
    [node] = ask(story, "tokens_by_node")
    assert (node["node"], node["calls"], node["mean_out"]) == ("answers", 5, words / 5)
    slowest = ask(story, "slowest_calls")
    assert len(slowest) == 6
    assert [r["seconds"] for r in slowest] == sorted((r["seconds"] for r in slowest), reverse=True)


def test_yield_and_times(story):
    rows = {row["table_name"]: row for row in ask(story, "yield_by_table")}
    assert (rows["answers"]["rows_per_row"], rows["answers"]["calls_per_row"]) == (0.8333, 1.0)
    assert rows["answers"]["tokens_per_row"] == (25 + 34) / 5
    assert rows["curated"]["rows_per_row"] == 0.5
    times = ask(story, "build_times")
    assert len(times) == 11
    assert {r["state"] for r in times} == {"built", "incomplete"}
