"""`doctor`: what is wrong is found and has a cure; what is secret is not told."""

import json
import os
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from project import Project
from story import run, shell

from engine.store import Store

SPEC = """
models:
  teacher: {use: openai, model: tiny, base_url: "${DOCTOR_URL}", api_key: "${DOCTOR_KEY:-none}"}
tables:
  pool: {source: data.jsonl}
"""


class Models(BaseHTTPRequestHandler):
    """Tells its models to those who know the key."""

    names = ("tiny", "small")
    key = "hunter2-key"

    def do_GET(self):
        known = self.headers["Authorization"] == f"Bearer {self.key}"
        status = {"/v1/models": 200 if known else 401, "/broken/models": 500}.get(self.path, 404)
        body = json.dumps({"data": [{"id": name} for name in self.names]} if status == 200 else {}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("OPENAI_API_KEY", "DOCTOR_URL", "DOCTOR_KEY"):
        monkeypatch.delenv(name, raising=False)
    return Project(tmp_path).spec(SPEC).data([{"text": "one"}])


def findings(project, *args):
    outcome = run("doctor", *args, "--home", project.home, "--json")
    return outcome.code, {f["what"]: (f["level"], f["detail"], f["cure"]) for f in outcome.json}


def test_a_healthy_machine(story):
    code, found = findings(story)
    assert code == 0
    assert {level for level, _, _ in found.values()} == {"ok"} or found["space"][0] == "warn"
    assert "pydantic" in found["packages"][1]
    assert "extra dev" not in found
    assert found["ledger"][1] == "5 answered model calls"
    complete = len(list((story.home / "objects").glob("*/manifest.json")))
    assert found["objects"][1].startswith(f"{complete} complete")


def test_a_home_that_is_not_there_yet(project):
    code, found = findings(project)
    assert (code, found["home"][0]) == (0, "ok")
    assert not project.home.exists(), "looking makes nothing"
    assert "ledger" not in found


def test_a_home_that_can_not_be_written(project):
    project.home.write_text("a file")
    code = shell("doctor", "--home", project.home / "inside").code
    assert code == 1
    found = {f["what"]: f for f in run("doctor", "--home", project.home / "inside", "--json").json}
    assert (found["home"]["level"], found["home"]["cure"]) == ("fail", "give permission, or name another --home")


def test_a_home_that_a_build_holds(story):
    with Store(story.home).lock("setwright build other.yaml", wait=False):
        code, found = findings(story)
    assert code == 0
    assert found["lock"][0] == "warn"
    assert f"held by setwright build other.yaml (process {os.getpid()})" in found["lock"][1]


def test_a_damaged_ledger_and_unfinished_objects(own_story):
    own_story.build()
    ledger = own_story.home / "ledger.sqlite"
    with sqlite3.connect(ledger) as con:
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    con.close()
    data = bytearray(ledger.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    ledger.write_bytes(data)
    (own_story.home / "objects" / "begun").mkdir()
    code, found = findings(own_story)
    assert code == 1
    assert found["ledger"][0] == "fail"
    assert ".recover" in found["ledger"][2]
    assert (found["objects"][0], ", 1 unfinished" in found["objects"][1]) == ("warn", True)


def test_variables_by_name_only(project, monkeypatch, server):
    code, found = findings(project, project.file)
    assert code == 1
    assert found["variable DOCTOR_URL"] == ("fail", "is not set", "export DOCTOR_URL=...")
    assert found["variable DOCTOR_KEY"][:2] == ("ok", "is not set; the spec has a default")
    assert "spec.yaml:6" in found["spec"][1]
    monkeypatch.setenv("DOCTOR_URL", f"http://user:hunter3@{server}/v1?token=hunter4")
    monkeypatch.setenv("DOCTOR_KEY", "hunter2-key")
    outcome = run("doctor", project.file, "--home", project.home)
    assert "ok    variable DOCTOR_URL: is set" in outcome.out
    assert "hunter" not in outcome.out + outcome.err


@pytest.mark.parametrize(
    ("path", "key", "model", "level", "said"),
    [
        ("/v1", "hunter2-key", "tiny", "ok", "serves tiny"),
        ("/v1/", "hunter2-key", "tiny", "ok", "serves tiny"),
        ("/v1", "hunter2-key", "huge", "fail", "does not serve huge"),
        ("/v1", "wrong", "tiny", "fail", "refuses the key (status 401)"),
        ("/v2", "hunter2-key", "tiny", "warn", "tells no models (status 404)"),
        ("/broken", "hunter2-key", "tiny", "fail", "answers with status 500"),
    ],
)
def test_a_server_is_asked_for_its_models(project, monkeypatch, server, path, key, model, level, said):
    monkeypatch.setenv("DOCTOR_URL", f"http://{server}{path}")
    monkeypatch.setenv("DOCTOR_KEY", key)
    project.spec(SPEC.replace("model: tiny", f"model: {model}"))
    code, found = findings(project, project.file)
    what = found["model teacher (use: openai)"]
    assert what[0] == level
    assert what[1].startswith(server)
    assert said in what[1]
    assert code == (1 if level == "fail" else 0)
    assert (what[2] is None) == (level == "ok")


def test_a_server_that_is_not_there(project, monkeypatch):
    monkeypatch.setenv("DOCTOR_URL", "http://127.0.0.1:9/v1")
    code, found = findings(project, project.file)
    assert code == 1
    assert found["model teacher (use: openai)"][1] == "can't reach 127.0.0.1:9 (ClientConnectorError)"


@pytest.mark.slow  # imports torch, to look for a GPU
def test_a_checkpoint_that_is_not_there(project):
    project.spec("models:\n  local: {use: transformers, model: ./nowhere}\ntables:\n  pool: {source: data.jsonl}\n")
    code, found = findings(project, project.file)
    assert code == 1
    assert found["model local (use: transformers)"][0] == "fail"
    assert "nowhere" in found["model local (use: transformers)"][1]


def test_models_that_need_nothing(project):
    project.spec("models:\n  words: {use: hashing}\ntables:\n  pool: {source: data.jsonl}\n")
    code, found = findings(project, project.file)
    assert (code, found["model words (use: hashing)"][:2]) == (0, ("ok", "needs nothing"))
    assert "GPU" not in found, "no model runs in this process, so torch is left alone"


def test_in_a_process_of_its_own(story):
    outcome = shell("doctor", "--home", story.home)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("ok    setwright: ")
