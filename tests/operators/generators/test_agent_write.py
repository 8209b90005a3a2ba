"""Plan, then write: what each call sees, what ends a row, and a build that is killed in the middle of its texts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fake_server as served
import pyarrow as pa
import pytest
from fake_server import FakeServer
from operators.direct import answers, scripted
from project import Project
from pydantic import ValidationError

from engine.errors import RowError
from engine.registry import operator

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from _evidence import asked, held_calls
from _measure import setwright

WRITE = operator("generate", "agent_write")
LINES = [f"Paragraph {i} - Main point: {topic} - Words: 200" for i, topic in enumerate(("tea", "milk", "salt"), 1)]
PLAN = "\n\n".join(LINES)
PLANNING = "^You plan"


def writer(plan=PLAN, *rules):
    """Writes `On tea.` to the line about tea, and so on."""
    topics = [
        {"match": rf"write now:\nParagraph \d+ - Main point: {topic}", "reply": f" On {topic}.\n"}
        for topic in ("tea", "milk", "salt")
    ]
    return scripted([{"match": PLANNING, "reply": plan}, *rules, *topics])


def written(model, instruction="Write on {plan}.", **params):
    return answers(WRITE, model, {"instruction": instruction}, **params)


def test_one_call_for_the_plan_and_one_for_each_line():
    model = writer()
    (row,) = written(model)
    assert len(model.chats) == 1 + 3
    assert len({chat.draw for chat in model.chats}) == 4
    assert row["plan"] == LINES
    assert row["response"] == "On tea.\n\nOn milk.\n\nOn salt."
    assert row["messages"] == [
        {"role": "user", "content": "Write on {plan}."}, {"role": "assistant", "content": row["response"]},
    ]  # fmt: skip
    assert (row["instruction"], row["cut_paragraphs"]) == ("Write on {plan}.", 0)
    pa.Table.from_pylist([row], schema=pa.schema(WRITE.writes_of(None, None)))


def test_each_call_sees_instruction_plan_text_so_far_and_its_line():
    model = writer()
    written(model)
    plan, *paragraphs = [chat.messages[0]["content"] for chat in model.chats]
    assert plan.endswith("The task:\nWrite on {plan}.")
    text, lines = "", "\n".join(LINES)
    for line, shown, topic in zip(LINES, paragraphs, ("tea", "milk", "salt"), strict=True):
        assert shown.endswith(
            f"The task:\nWrite on {{plan}}.\n\nThe plan:\n{lines}\n\nWritten so far:\n{text}\n\n"
            f"The line to write now:\n{line}"
        )
        text = f"{text}\n\nOn {topic}.".strip()
    assert all((c.sampling.temperature, c.sampling.max_tokens) == (1.0, 4096) for c in model.chats)


@pytest.mark.parametrize(("lines", "calls"), [(50, 51), (51, 1)])
def test_a_plan_of_51_lines_is_skipped(lines, calls):
    model = scripted([{"match": PLANNING, "reply": "\n".join(f"line {i}" for i in range(lines))}], default="text")
    if lines > 50:
        with pytest.raises(RowError, match="plan has 51 lines, and max_paragraphs is 50"):
            written(model)
    else:
        (row,) = written(model)
        assert len(row["plan"]) == 50
    assert len(model.chats) == calls


@pytest.mark.parametrize(
    ("model", "why", "calls"),
    [
        (writer("\n \n"), "the plan is empty", 1),
        (writer(PLAN, {"match": "now:\nParagraph 2", "reply": " \n"}), "paragraph 2 of 3 is empty", 3),
        (scripted([{"match": PLANNING, "reply": "a\nb", "finish_reason": "length"}]), "the plan is cut off", 1),
    ],
)
def test_what_discards_a_row(model, why, calls):
    with pytest.raises(RowError, match=why):
        written(model)
    assert len(model.chats) == calls


def test_paragraphs_that_are_cut_are_counted():
    cut = {"match": "now:\nParagraph [12]", "reply": "Half a", "finish_reason": "length"}
    (row,) = written(writer(PLAN, cut))
    assert row["cut_paragraphs"] == 2
    assert row["response"] == "Half a\n\nHalf a\n\nOn salt."


@pytest.mark.parametrize("instruction", [None, ""])
def test_no_instruction_and_no_call(instruction):
    model = writer()
    with pytest.raises(RowError, match="null or empty"):
        written(model, instruction)
    assert model.chats == []


def test_wrong_parameters():
    for params in ({"max_paragraphs": 0}, {"temperature": -1.0}, {"max_tokens": 0}):
        with pytest.raises(ValidationError):
            WRITE.params(**params)
    assert [asks.calls for asks in WRITE.asks_of(WRITE.params(max_paragraphs=3))] == [(1, 1), (1, 3)]


SCRIPT = """
models:
  writer:
    use: scripted
    params:
      replies:
        - {match: "^You plan[^$]*long walk", reply: "a\\nb\\nc"}
        - {match: "^You plan[^$]*tea", reply: "a\\nb\\n"}
        - {match: "now:\\nb$", reply: "{draw} second"}
      default: "{draw} first"
tables:
  tasks: {source: data.jsonl, params: {shape: raw}}
  texts: {generate: agent_write, from: tasks, model: writer, params: {max_paragraphs: 2}}
"""


def test_a_row_that_is_skipped_is_in_the_errors(tmp_path):
    project = Project(tmp_path).spec(SCRIPT).data([{"prompt": "On tea"}, {"prompt": "On a long walk"}])
    project.build()
    assert project.sql("SELECT instruction, len(plan) FROM texts") == [("On tea", 2)]
    assert project.sql("SELECT error, transient FROM errors") == [
        ("the plan has 3 lines, and max_paragraphs is 2", False)
    ]
    assert project.calls() == 3 + 1
    assert project.build().exit_code == 0
    assert project.calls() == 4


SERVED = """
models:
  writer: {{use: openai, model: fake, base_url: {url}}}
tables:
  tasks: {{source: data.jsonl, params: {{shape: raw}}}}
  texts: {{generate: agent_write, from: tasks, model: writer}}
run: {{concurrency: 3}}
"""
TASKS, PLANNED = 8, 6


served_reply = served.reply


def planning(path, body):
    """What the server says: plans of six lines, and paragraphs that tell requests apart."""
    status, answer = served_reply(path, body)
    if body["messages"][0]["content"].startswith("You plan"):
        answer["choices"][0]["message"]["content"] = "\n".join(f"line {i}" for i in range(PLANNED))
    return status, answer


def test_a_build_that_is_killed_repeats_no_call(tmp_path, monkeypatch):
    monkeypatch.setattr(served, "reply", planning)
    with FakeServer(latency_ms=20) as server:
        project = Project(tmp_path).spec(SERVED.format(url=server.url))
        project.data([{"prompt": f"Task {i}"} for i in range(TASKS)])
        command = setwright("build", project.file, "--home", project.home)
        process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
        while len(server.hits) < 20 and process.poll() is None:
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        held = held_calls(project.home)
        assert 3 <= len(held) < TASKS * (1 + PLANNED)
        server.hits.clear()
        assert project.build().exit_code == 0
        again = [key for hit in server.hits for key in asked(hit.path, hit.body)]
    assert not held & set(again)
    assert len(held) + len(again) == TASKS * (1 + PLANNED) == project.calls()
    assert project.sql("SELECT count(*), min(len(string_split(response, chr(10) || chr(10)))) FROM texts") == [(8, 6)]
