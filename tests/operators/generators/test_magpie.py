"""The method's promises (its eight tests, but for the selector's), on scripts that say exactly what a model would."""

import subprocess
import sys
import time

import pytest
from operators.direct import answers, scripted
from project import Project
from pydantic import ValidationError

from engine.errors import ModelError, RowError, SpecError
from engine.models.scripted import Scripted
from engine.operators.generators._magpie_params import MagpieParams
from engine.operators.generators._magpie_tasks import GRIDS, SEVERAL_ROUNDS, SYSTEM_TEXTS, by_share
from engine.operators.generators._pre_query import FAMILIES
from engine.registry import operator
from engine.request import Capability

MAGPIE = operator("generate", "magpie")
PRE = "<|user|>"
ANSWER = {"match": r"\A(?!.*<\|)", "reply": "It is so."}  # chat calls: the last user message has no markers


def writes(*drawn, then=""):
    """A script whose raw completions are `drawn` (chosen by the draw), or `then` after a talk."""
    return [
        {"match": r"<\|assistant\|>.*<\|user\|>\Z", "reply": then},
        {"match": r"<\|user\|>\Z", "reply": list(drawn)},
        ANSWER,
    ]


@pytest.mark.parametrize(
    ("family", "prompt"),
    [
        ("llama-3", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"),
        ("llama-3.1", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"),
        ("llama-3.3", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"),
        ("qwen2", "<|im_start|>user\n"),
        (
            "qwen2.5",
            "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\n",
        ),
        ("gemma-1.1", "<bos><start_of_turn>user\n"),
        ("gemma-2", "<bos><start_of_turn>user\n\n"),
        ("phi-3", "<s> <|user|>\n"),
        ("phi-3-small", "<|endoftext|><|user|>\n"),
        ("mistral", "<s> [INST] "),
        ("llama-2", "<s> [INST] "),
        ("yi-1.5", "<|startoftext|><|im_start|>user\n"),
        ("auto", PRE),
    ],
)
def test_the_prompt_of_a_first_turn_to_the_byte(family, prompt):
    model = scripted([], default="Why?")
    (row,) = answers(MAGPIE, model, template=family)
    assert [asked.prompt for asked in model.prompts] == [prompt]
    assert row["pre_query_template"] == prompt


def test_every_family_is_a_template():
    assert {"auto", *FAMILIES} == set(MagpieParams.model_fields["template"].annotation.__args__)


def test_a_system_turn_stands_before_the_prompt_and_not_before_the_answer():
    model = scripted([], default="Why?")
    (row,) = answers(MAGPIE, model, tasks=[{"task": "math"}])
    assert model.prompts[0].prompt == f"<|system|>{SYSTEM_TEXTS['math']}<|end|>{PRE}"
    assert model.chats[0].messages == ({"role": "user", "content": "Why?"},)
    assert (row["task"], row["system_prompt"]) == ("math", SYSTEM_TEXTS["math"])


@pytest.mark.parametrize(
    ("given", "task", "system"),
    [
        ({"system_prompt": "Be odd."}, None, "Be odd."),
        ({"system_prompt": "Be odd.", "task": "math"}, "math", "Be odd."),
        ({"task": "code"}, "code", SYSTEM_TEXTS["code"]),
        ({"task": "plain"}, "plain", None),
        ({"task": "birds"}, "birds", "You know birds."),
        ({"task": None, "system_prompt": None}, "birds", "You know birds."),
    ],
)
def test_a_rows_own_task_and_system_prompt(given, task, system):
    tasks = [{"task": "birds", "system": "You know birds."}]
    (row,) = answers(MAGPIE, scripted([], default="Why?"), given, tasks=tasks)
    assert (row["task"], row["system_prompt"]) == (task, system)


def test_a_rows_unknown_task_is_its_error():
    with pytest.raises(RowError, match="'fishes' has no system text"):
        answers(MAGPIE, scripted([], default="Why?"), {"task": "fishes"})


@pytest.mark.parametrize(
    ("written", "params", "instruction"),
    [
        ("Hi?<|end|>tail", {}, "Hi?"),
        ("Hi?<|assistant|>tail", {}, "Hi?"),
        ("Hi?<|system|>tail", {}, "Hi?"),
        (" Hi?\nAnd you? ", {}, "Hi?\nAnd you?"),
        ("Hi?\nAnd you?", {"newline_stop": True}, "Hi?"),
        ("Hi, assistant?", {}, "Hi, assistant?"),
        ("Hi, assistant?", {"stop_words": ["assistant"]}, "Hi,"),
        ("Hi?<|eot_id|>tail", {"template": "llama-3"}, "Hi?"),
        ("Hi?\nAnd you?", {"template": "llama-3", "sanitize": False}, "Hi?"),
        ("Hi.\nAnd you?", {"template": "llama-3.1", "sanitize": False}, "Hi.\nAnd you?"),
        ("Hi Assistant", {"template": "qwen2"}, "Hi"),
    ],
)
def test_where_an_instruction_ends(written, params, instruction):
    model = scripted([], default=written)
    (row,) = answers(MAGPIE, model, **params)
    assert row["instruction"] == instruction
    assert "<|" not in row["instruction"] + row["raw_instruction"]
    assert row["messages"][0] == {"role": "user", "content": instruction}


def test_the_server_is_told_all_stops():
    model = scripted([], default="Hi?")
    answers(MAGPIE, model, newline_stop=True, stop_words=["assistant"])
    assert set(model.prompts[0].sampling.stop) == {
        "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "assistant", "\n",
    }  # fmt: skip
    model = scripted([], default="Hi?")
    answers(MAGPIE, model, template="llama-3")
    assert model.prompts[0].sampling.stop == (*FAMILIES["llama-3"].stops, "assistant", "\n")


def test_sampling_of_both_stages():
    model = scripted([], default="Hi?")
    (row,) = answers(MAGPIE, model)
    first, reply = model.prompts[0].sampling, model.chats[0].sampling
    assert (first.temperature, first.top_p, first.max_tokens) == (1.0, 1.0, 2048)
    assert (reply.temperature, reply.max_tokens) == (0.0, 4096)
    assert row["gen_input_config"]["seed"] == model.prompts[0].draw
    assert row["gen_response_config"]["seed"] is None


def test_a_grid_is_shared_out_by_the_rows_draw():
    grid = [{"temperature": 0.5, "share": 1.0}, {"temperature": 2.0, "top_p": 0.9, "share": 3.0}]
    drawn = []
    for i in range(200):
        (row,) = answers(MAGPIE, scripted([], default="Hi?"), {"row_id": f"r{i}"}, grid=grid)
        drawn.append((row["gen_input_config"]["temperature"], row["gen_input_config"]["top_p"]))
    assert set(drawn) == {(0.5, 1.0), (2.0, 0.9)}
    assert 120 < drawn.count((2.0, 0.9)) < 180
    assert by_share(GRIDS["pro"], 0) == GRIDS["pro"][0]
    assert by_share(GRIDS["pro"], 2**63 - 1) == GRIDS["pro"][-1]
    assert by_share(GRIDS["pro"], int(2**63 * 0.61)).temperature == 1.2


def test_headings_are_drawn_again_and_the_seed_that_counts_is_kept():
    model = scripted(writes("# Title", "Why?"))
    (row,) = answers(MAGPIE, model, {"row_id": "r3"}, forbid_headings=True, redraws=50)
    assert row["instruction"] == "Why?"
    assert row["gen_input_config"]["seed"] == model.prompts[-1].draw
    assert len({asked.draw for asked in model.prompts}) == len(model.prompts)
    with pytest.raises(RowError, match="no instruction in 3 draws"):
        answers(MAGPIE, scripted([], default="## Title"), template="llama-3.1", redraws=2)
    (kept,) = answers(MAGPIE, scripted(writes("##### deep")), forbid_headings=True)
    assert kept["instruction"] == "##### deep"


def test_no_instruction_is_the_rows_error():
    with pytest.raises(RowError, match="no instruction in 9 draws"):
        answers(MAGPIE, scripted(writes(" <|end|>tail")))


def test_a_talk_of_several_turns():
    model = scripted(writes("Why?", then="And how?"))
    (row,) = answers(MAGPIE, model, turns=2, tasks=[{"task": "math"}])
    talk = "<|user|>Why?<|end|><|assistant|>It is so.<|end|>"
    system = f"<|system|>{SYSTEM_TEXTS['math']}\n\n{SEVERAL_ROUNDS}<|end|>"
    assert model.prompts[1].prompt == f"{system}{talk}{PRE}"
    assert [message["role"] for message in model.chats[1].messages] == ["user", "assistant", "user"]
    assert [turn["content"] for turn in row["messages"]] == ["Why?", "It is so.", "And how?", "It is so."]
    assert (row["instruction"], row["response"]) == ("Why?", "It is so.")


def test_a_failed_user_turn_leaves_a_shorter_conversation():
    model = scripted(writes("Why?", then="<|end|>"))
    (row,) = answers(MAGPIE, model, turns=3, redraws=1)
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
    assert len(model.prompts) == 3  # the first turn, and the second one twice
    assert len(model.chats) == 1


def test_a_talk_that_has_no_room_left_ends_before():
    class Full(Scripted):
        async def answer(self, request):
            if "And how?" in str(request):
                raise ModelError("the text has 600 tokens and the model takes 512", status=422)
            return await super().answer(request)

    (row,) = answers(MAGPIE, scripted_as(Full, writes("Why?", then="And how?")), turns=2)
    assert [turn["content"] for turn in row["messages"]] == ["Why?", "It is so."]
    with pytest.raises(ModelError, match="600 tokens"):
        answers(MAGPIE, scripted_as(Full, writes("And how?")), turns=2)


def scripted_as(kind, replies):
    model = scripted(replies)
    model.backend.__class__ = kind
    return model


def test_several_responses_to_the_last_turn():
    model = scripted([*writes("Why?", then="How?")[:2], {"reply": "{draw}"}])
    (row,) = answers(MAGPIE, model, turns=2, n_responses=3, response_temperature=0.8)
    assert len(set(row["responses"])) == 3
    assert row["responses"][0] == row["response"] == row["messages"][-1]["content"]
    assert len(model.chats) == 4
    assert "responses" in MAGPIE.writes_of(MagpieParams(n_responses=2, response_temperature=0.8), None)
    assert "responses" not in MAGPIE.writes_of(MagpieParams(), None)


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0.0}, {"rows": 0}, {"turns": 0}, {"template": "llama-9"}, {"tasks": []}, {"grid": []},
        {"grid": "air", "temperature": 1.1}, {"n_responses": 2}, {"tasks": [{"task": "birds"}]},
        {"tasks": [{"task": "math", "share": 0.0}]}, {"redraws": 1000}, {"budget": 3},
    ],
)  # fmt: skip
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        MagpieParams(**params)


SPEC = """
models:
  script:
    use: scripted
    params:
      replies:
        - {match: '<\\|user\\|>\\Z', reply: 'Question {draw}?'}
        - {match: Question, reply: An answer.}
      faults: [%s]
tables:
  pool: {generate: magpie, model: script, params: {rows: 40}}
"""
POOL = "SELECT row_id, parent_id, instruction, response, gen_input_config FROM pool ORDER BY row_id"


def test_the_same_seed_gives_the_same_table_whatever_was_lost_on_the_way(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, broken = Project(tmp_path / "a").spec(SPEC % ""), Project(tmp_path / "b")
    whole.build()
    rows = whole.sql(POOL)
    assert len({row[2] for row in rows}) == 40  # samples of one prompt are not one
    assert {row[1] for row in rows} == {None}
    report = broken.spec(SPEC % "{kind: 500, every: 3, times: always}").build()
    assert report.exit_code == 1
    done = broken.calls()
    assert 0 < done < 80
    report = broken.spec(SPEC % "").build()
    assert report.exit_code == 0
    assert broken.sql(POOL) == rows
    assert sum(step["calls_sent"] for step in report.steps) == 80 - done


def test_a_killed_build_goes_on_and_ends_as_an_unbroken_one(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, killed = Project(tmp_path / "a").spec(SPEC % ""), Project(tmp_path / "b")
    whole.build()
    killed.spec((SPEC % "").replace("faults: []", "latency_ms: 50") + "run: {concurrency: 4}\n")
    command = "from engine.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", command, "build", str(killed.file), "--home", str(killed.home)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as child:  # fmt: skip
        while killed.calls() < 12:
            assert child.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
        child.kill()
    held = killed.calls()
    assert held < 80
    report = killed.spec(SPEC % "").build()
    assert sum(step["calls_sent"] for step in report.steps) == 80 - held
    assert killed.sql(POOL) == whole.sql(POOL)


def test_a_longer_table_begins_with_the_shorter_one(tmp_path):
    project = Project(tmp_path).spec(SPEC % "")
    project.build()
    first = set(map(str, project.sql(POOL)))
    report = project.spec((SPEC % "").replace("rows: 40", "rows: 50")).build()
    assert first < set(map(str, project.sql(POOL)))
    assert sum(step["calls_sent"] for step in report.steps) == 20


def test_a_model_without_raw_completions_is_refused_by_the_plan(tmp_path, monkeypatch):
    monkeypatch.setattr(Scripted, "offers", frozenset({Capability.CHAT}))
    project = Project(tmp_path).spec(SPEC % "")
    with pytest.raises(SpecError, match="generate"):
        project.build()
    assert not project.home.exists() or project.calls() == 0
