"""`setwright plan` and `setwright build` as a user sees them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from project import Project

from engine.cli import cli

SPEC = """
models:
  teacher:
    use: scripted
    params: {default: "You said: {last_user}", latency_ms: %d}
tables:
  prompts: {source: data.jsonl}
  answers:
    generate: respond
    from: prompts
    model: teacher
"""


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path).spec(SPEC % 0).data([{"instruction": f"Count to {i}", "output": ""} for i in range(30)])


def run(project, command, *arguments):
    return CliRunner().invoke(cli, [command, str(project.file), "--home", str(project.home), *arguments])


def test_plan_build_plan(project):
    before = run(project, "plan")
    assert "2 of 2 steps to build, 30 model calls, about " in before.stdout
    built = run(project, "build")
    assert built.exit_code == 0
    assert "30 sent" in built.stdout
    after = run(project, "plan")
    assert "0 of 2 steps to build, 0 model calls" in after.stdout


def test_appended_rows_cost_their_own_calls(project):
    run(project, "build")
    project.data([{"instruction": f"Count to {i}", "output": ""} for i in range(33)])
    assert "2 of 2 steps to build, 3 model calls, about " in run(project, "plan").stdout
    assert "3 sent, 30 known" in run(project, "build").stdout


def test_a_plan_counts_against_the_ledger_where_the_rows_are_there(project):
    run(project, "build")
    project.spec((SPEC % 0) + "    params: {n: 3}\n")
    plan = json.loads(run(project, "plan", "--json").stdout)
    step = next(s for s in plan["steps"] if s["step"] == "answers")
    assert (step["status"], step["why"]) == ("missing", ["params.n: 1 -> 3"])
    assert (step["calls"], step["exact"]) == ({"low": 60, "high": 60}, True)
    assert plan["total"]["calls"] == {"low": 60, "high": 60}
    assert "60 sent, 30 known" in run(project, "build").stdout


def test_json_for_machines(project):
    report = json.loads(run(project, "build", "--json").stdout)
    assert report["exit_code"] == 0
    assert [s["state"] for s in report["steps"]] == ["built", "built"]


def test_a_bad_spec_is_two_with_every_place(project):
    project.spec((SPEC % 0).replace("generate: respond", "generate: respnd").replace("source:", "sauce:"))
    process = setwright(project, "build")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "did you mean 'respond'" in error
    assert "did you mean 'source'" in error


def setwright(project, command):
    code = "from engine.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, command, str(project.file), "--home", str(project.home)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "100"},
    )  # fmt: skip


def test_interrupted_once_keeps_what_is_done_and_goes_on_later(project):
    project.spec((SPEC % 300) + "run: {concurrency: 1}\n")
    process = setwright(project, "build")
    ledger = project.home / "ledger.sqlite"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (ledger.exists() and project.calls()):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    done = project.calls()
    assert 0 < done < 30
    project.spec(SPEC % 0)
    assert f"{30 - done} sent, {done} known" in run(project, "build").stdout
