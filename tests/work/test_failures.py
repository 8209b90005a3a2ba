"""Calls that fail cost their own rows only, for as long as they fail."""

import pytest
from fake_server import Fault
from project import Project

SPEC = """
models:
  server: {use: openai, model: m, base_url: "%s", api_key: k, params: {max_attempts: 1, patience_s: 1}}
tables:
  pool:
    source: data.jsonl
    scores:
      - {score: embedding, model: server, columns: {text: instruction}}
  kept:
    select: top_k
    from: pool
    params: {k: 3, by: "embedding[1]"}
"""

ANSWERS = """
models:
  server: {use: openai, model: m, base_url: "%s", api_key: k, params: {max_attempts: 1, patience_s: 1}}
tables:
  pool: {source: data.jsonl}
  answers:
    generate: respond
    from: pool
    model: server
  kept:
    select: filter
    from: answers
    params: {where: "true"}
"""


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path).data([{"instruction": f"question {i}", "output": "x"} for i in range(40)])


def refuse(word, status=400):
    """A plan that refuses every request in which a word stands."""
    return lambda hit: Fault(status=status) if word in hit.raw else None


def states(report):
    return {s["step"]: s["state"] for s in report.steps}


def test_a_text_that_is_refused_leaves_the_others_their_vectors(project, fake_server):
    server = fake_server(refuse(b"question 17"))
    report = project.spec(SPEC % server.url).build()
    assert report.exit_code == 1
    assert states(report) == {"pool": "built", "pool.embedding": "incomplete", "kept": "built"}
    assert project.sql("SELECT instruction FROM pool WHERE embedding IS NULL") == [("question 17",)]
    ((step, transient),) = project.sql("SELECT step, transient FROM errors")
    assert (step, transient) == ("pool.embedding", True)


def test_only_the_failed_are_tried_again_and_what_stands_on_them_is_built_anew(project, fake_server, tmp_path):
    bad = fake_server(refuse(b"question 17"))
    project.spec(SPEC % bad.url).build()
    assert project.plan().steps["pool.embedding"].why == ("1 rows failed in the last build and are tried again",)
    good = fake_server()
    report = project.spec(SPEC % good.url).build()
    assert states(report) == {"pool": "cached", "pool.embedding": "built", "kept": "built"}
    sent = {text for hit in good.hits for text in hit.body["input"]}
    assert sent == {"question 17"}
    never_failed = Project(tmp_path / "other")
    never_failed.folder.mkdir()
    never_failed.data([{"instruction": f"question {i}", "output": "x"} for i in range(40)])
    never_failed.spec(SPEC % good.url).build()
    query = "SELECT row_id, select_rank, embedding FROM kept ORDER BY row_id"
    assert never_failed.sql(query) == project.sql(query)


def test_failing_again_in_the_same_way_builds_nothing_anew(project, fake_server):
    server = fake_server(refuse(b"question 17"))
    project.spec(SPEC % server.url).build()
    report = project.build()
    assert states(report) == {"pool": "cached", "pool.embedding": "incomplete", "kept": "cached"}
    assert report.exit_code == 1


def test_a_part_of_the_graph_can_be_built_over_a_result_that_lacks_rows(project, fake_server):
    server = fake_server(refuse(b"question 17"))
    project.spec(SPEC % server.url).build()
    asked = len(server.hits)
    project.spec((SPEC % server.url).replace("k: 3", "k: 2"))
    report = project.build(selection="kept")
    assert states(report) == {"pool": "cached", "pool.embedding": "cached", "kept": "built"}
    assert len(server.hits) == asked


def test_a_failed_generation_is_a_row_of_errors(project, fake_server):
    server = fake_server(refuse(b"question 17", 500))
    report = project.spec(ANSWERS % server.url).build()
    assert report.exit_code == 1
    assert states(report)["answers"] == "incomplete"
    assert project.sql("SELECT count(*) FROM kept") == [(39,)]
    ((row, error),) = project.sql("SELECT row_id, error FROM errors")
    assert "500" in error
    assert project.sql(f"SELECT instruction FROM pool WHERE row_id = '{row}'") == [("question 17",)]
    assert project.sql("SELECT count(*) FROM calls WHERE error IS NOT NULL") == [(1,)]
    good = fake_server()
    report = project.spec(ANSWERS % good.url).build()
    assert report.exit_code == 0
    assert len(good.hits) == 1
    assert project.sql("SELECT count(*) FROM kept") == [(40,)]
    assert project.sql("SELECT count(*) FROM errors") == [(0,)]


def test_a_server_that_is_not_there_fails_its_rows_and_no_others(project):
    report = project.spec(SPEC % "http://127.0.0.1:9/v1").build()
    assert report.exit_code == 1
    assert project.sql("SELECT count(*) FROM errors") == [(40,)]
    assert project.sql("SELECT DISTINCT drop_reason FROM drops") == [("no_score",)]
