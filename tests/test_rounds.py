"""Rounds built: what differs between them, the stop rule, changes, a kill in the middle, and what is told of it all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from project import Project
from tiny_model import build_tiny_model

from engine.catalog import connect
from engine.explore.why import life
from engine.ledger import Ledger
from engine.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from _evidence import asked, differences, held_calls
from _measure import setwright

SPEC = """
models:
  teacher: {use: scripted, params: {default: "{last_user} {draw}"}}
tables:
  seeds: {source: data.jsonl}
  best: {sql: 'SELECT * FROM "kept@last"'}
  counts: {sql: "SELECT round, count(*) AS n FROM kept GROUP BY round"}
rounds:
  count: 3
  first: {kept: seeds}
  tables:
    drafts: {generate: respond, from: kept@previous, model: teacher, params: {n: 2, temperature: 1.0}}
    kept: {select: random, from: drafts, params: {k: 3}}
"""
STOPS = SPEC.replace("count: 3", "count: 3\n  until: SELECT count(*) >= 6 FROM kept")
OUTER = ("best", "counts")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path).data([{"instruction": f"word {i}"} for i in range(3)]).spec(SPEC)


def prints(plan):
    return {name: step.fingerprint for name, step in plan.steps.items()}


def test_rounds_are_built_one_after_another(project):
    assert set(project.states().values()) == {"built"}
    assert project.sql("SELECT * FROM counts ORDER BY round")[0][2:] == (1, 3)
    assert project.sql('SELECT count(*) FROM "drafts@1" WHERE row_id IN (SELECT row_id FROM "drafts@2")') == [(0,)]
    parents = "SELECT DISTINCT parent_table FROM lineage WHERE table_name = 'drafts@3'"
    assert project.sql(parents) == [("kept@2",)]
    assert set(project.states().values()) == {"cached"}


def test_the_same_rows_are_drawn_anew_in_each_round(project):
    project.spec(SPEC.replace("from: kept@previous", "from: seeds"))
    project.build()
    replies = [set(project.sql(f'SELECT response FROM "drafts@{i}"')) for i in (1, 2, 3)]
    ids = [set(project.sql(f'SELECT row_id FROM "drafts@{i}"')) for i in (1, 2, 3)]
    assert [len(set.union(*found)) for found in (replies, ids)] == [18, 18]


def test_rows_that_a_generator_begins_with_differ_too(project):
    project.spec("""
models:
  writer: {use: embedded, params: {max_tokens: 8}}
rounds:
  count: 2
  tables:
    pool: {generate: magpie, model: writer, params: {rows: 4}}
""")
    project.build()
    assert project.sql("SELECT count(DISTINCT row_id) FROM pool") == project.sql("SELECT count(*) FROM pool")


def test_the_catalog_has_each_round_the_last_one_and_all(project):
    project.build()
    assert project.sql("SELECT round, count(*) FROM kept GROUP BY ALL ORDER BY ALL") == [(1, 3), (2, 3), (3, 3)]
    assert project.sql('FROM "kept@last"') == project.sql('FROM "kept@3"')
    dropped = project.sql("SELECT table_name, count(*) FROM drops GROUP BY ALL ORDER BY ALL")
    assert dropped == [("kept@1", 3), ("kept@2", 3), ("kept@3", 3)]


def test_the_stop_rule_ends_the_rounds(project):
    report = project.spec(STOPS).build()
    states = {step["step"]: step["state"] for step in report.steps}
    assert report.exit_code == 0
    assert {name for name, state in states.items() if state == "stopped"} == {"drafts@3", "kept@3"}
    details = {step["step"]: step["detail"] for step in report.steps}
    assert details["rounds.until@1"] == "another round follows"
    assert details["rounds.until@2"] == "no round follows"
    assert details["kept@3"] == "the stop rule ended the rounds after 2"
    assert project.sql("SELECT round, n FROM counts ORDER BY round") == [(1, 3), (2, 3)]
    assert project.sql("SELECT max(round) FROM kept") == [(2,)]
    assert {row[0] for row in project.sql("SELECT row_id FROM best")} == {
        row[0] for row in project.sql('SELECT row_id FROM "kept@2"')
    }
    assert project.calls() == 12


def test_rounds_that_have_ended_are_as_if_no_more_had_been_meant(project):
    project.spec(STOPS).build()
    plan = project.plan()
    assert {step.status for step in plan.steps.values()} == {"cached"}
    assert (plan.spec.rounds.built, plan.spec.rounds.count) == (2, 3)
    fewer = prints(project.spec(SPEC.replace("count: 3", "count: 2")).plan())
    assert {name: prints(plan)[name] for name in fewer} == fewer
    project.spec(STOPS)
    assert set(project.states().values()) == {"cached"}


def test_a_round_that_was_not_built_is_named_as_the_last_one(project):
    project.spec(STOPS.replace('"kept@last"', '"kept@3"')).build()
    assert project.sql("SELECT count(*) FROM best") == [(3,)]
    assert set(project.states(selection="+kept@3").values()) == {"cached"}


def test_a_rule_that_lets_go_builds_the_rounds_that_it_had_ended(project):
    project.spec(STOPS).build()
    states = project.spec(STOPS.replace(">= 6", ">= 60")).states()
    built = {name for name, state in states.items() if state == "built"}
    assert built == {"rounds.until@1", "rounds.until@2", "drafts@3", "kept@3", *OUTER}
    project.spec(STOPS).build()
    assert project.sql("SELECT max(round) FROM kept") == [(2,)]


def test_a_rule_without_an_answer_ends_the_build_there(project):
    report = project.spec(STOPS.replace("count(*) >= 6", "CASE WHEN max(round) < 2 THEN false END")).build()
    failed = {step["step"]: step["detail"] for step in report.steps if step["state"] == "failed"}
    assert list(failed) == ["rounds.until@2"]
    assert failed["rounds.until@2"].startswith("rounds.until gave null after round 2, and not true or false")
    states = {step["step"]: step["state"] for step in report.steps}
    assert (states["kept@2"], states["drafts@3"], states["best"]) == ("built", "skipped", "skipped")
    assert report.exit_code == 2
    report = project.spec(STOPS.replace("SELECT count(*) >= 6 FROM kept", "SELECT true FROM kept")).build()
    assert "gave several rows after round 1" in next(s["detail"] for s in report.steps if s["state"] == "failed")


def test_the_rule_is_asked_anew_once_failed_rows_are_there(project):
    """In the first build one row of round 1 fails; with two rows left, the rule ends the rounds."""
    faults = 'faults: [{kind: timeout, match: "word 1", times: always}], default'
    rule = "count: 3\n  until: SELECT count(*) < 6 FROM drafts"
    broken = SPEC.replace("count: 3", rule).replace("default", faults)
    report = project.spec(broken).build()
    states = {step["step"]: step["state"] for step in report.steps}
    assert (states["drafts@1"], states["kept@2"], states["best"]) == ("incomplete", "stopped", "built")
    assert report.exit_code == 1
    states = project.spec(SPEC.replace("count: 3", rule)).states()
    assert (states["drafts@1"], states["drafts@2"], states["kept@3"]) == ("built", "built", "built")


def test_a_change_of_a_later_round_leaves_the_earlier_ones(project):
    project.build()
    states = project.spec(SPEC + "  change: [{round: 3, tables: {drafts: {params: {n: 1}}}}]\n").states()
    assert {name for name, state in states.items() if state != "cached"} == {"drafts@3", "kept@3", *OUTER}
    assert project.sql('SELECT count(*) FROM "drafts@3"') == [(3,)]


def test_the_life_of_a_row_leads_through_the_rounds(project):
    project.build()
    row = project.sql('SELECT row_id FROM "kept@3"')[0][0]
    ledger, store = Ledger(project.home), Store(project.home)
    with connect(store, ledger, "trial") as con:
        stages = [stage.table for stage in life(store, con, "trial", "kept@last", row).stages]
    ledger.close()
    way = ["seeds", "drafts@1", "kept@1", "drafts@2", "kept@2", "drafts@3", "kept@3"]
    assert [table for table in stages if table in way] == way


KILLED = SPEC.replace(
    '{use: scripted, params: {default: "{last_user} {draw}"}}', "{use: openai, model: m, base_url: URL}"
)


def test_a_kill_in_round_2_repeats_no_finished_call(project, fake_server, monkeypatch):
    server = fake_server(latency_ms=150)
    project.spec(KILLED.replace("URL", server.url) + "run: {concurrency: 2}\n")
    command = setwright("build", project.file, "--home")
    subprocess.run([*command, str(project.folder / "whole")], check=True, capture_output=True)
    server.hits.clear()
    process = subprocess.Popen([*command, str(project.home)], start_new_session=True, stderr=subprocess.DEVNULL)
    while len(server.hits) < 9:  # six of round 1 and three of round 2
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    held, before = held_calls(project.home), len(server.hits)
    assert 6 <= len(held) < 12
    assert Store(project.home).ref("trial", "kept@1") is not None
    assert project.build().exit_code == 0
    again = {key for hit in server.hits[before:] for key in asked(hit.path, hit.body)}
    assert again & held == frozenset()
    assert differences(project.folder / "whole", project.home) == []


TRAINED = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32, max_tokens: 4, temperature: 0}}
tables:
  talk: {source: data.jsonl}
  exam: {source: exam.jsonl}
  marks: {sql: "SELECT round, avg(n_chars) AS chars FROM answers GROUP BY round"}
rounds:
  count: 2
  first: {student: tiny}
  models:
    student:
      train: sft
      base: tiny
      data: talk
      params: {epochs: 1, batch_size: 2, max_length: 64, learning_rate: 0.01, dtype: float32}
  tables:
    answers: {generate: respond, from: exam, model: student, scores: [length]}
    before: {generate: respond, from: exam, model: student@previous}
"""


@pytest.mark.slow
def test_models_are_trained_round_after_round(project, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    build_tiny_model(tmp_path / "tiny")
    project.data([{"instruction": f"What is {i}?", "output": "The sea is wide and blue."} for i in range(4)])
    project.data([{"text": "Name the colours."}, {"text": "What is 7 + 8?"}], "exam.jsonl").spec(TRAINED)
    assert set(project.states().values()) == {"built"}
    assert set(project.states().values()) == {"cached"}
    plan = project.plan()
    models = [Store(project.home).model(plan.steps[f"student@{i}"].fingerprint) for i in (1, 2)]
    assert len({(folder / "model.safetensors").read_bytes() for folder in models}) == 2, "another seed in each round"
    replies = [dict(project.sql(f'SELECT instruction, response FROM "{t}"')) for t in ("answers@1", "before@2")]
    assert replies[0] == replies[1]
    assert [row[0] for row in project.sql("SELECT round FROM marks ORDER BY round")] == [1, 2]
    assert project.sql("SELECT DISTINCT model FROM train_steps ORDER BY model") == [("student@1",), ("student@2",)]
