"""Magpie with real models: a tiny Llama in this process, and raw completions over HTTP."""

import asyncio
import json
import shutil

import pytest
from operators.direct import Direct
from operators.fakes import FakeContext
from project import Project
from tiny_model import build_tiny_model, build_tokenizer

from engine.errors import ModelError
from engine.model import ModelConfig
from engine.operators.generators._magpie_tasks import SEVERAL_ROUNDS, SYSTEM_TEXTS
from engine.registry import backend, operator
from engine.request import Generate, Sampling

MAGPIE = operator("generate", "magpie")
SPECIAL = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {dtype: float32}}
tables:
  pool:
    generate: magpie
    model: tiny
    params: {rows: 24, turns: 2, max_tokens: 10, tasks: [{task: plain}, {task: math}]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny_model(folder / "tiny")
    return folder


@pytest.fixture(scope="module")
def project(folder):
    project = Project(folder).spec(SPEC)
    assert project.build().exit_code == 0
    return project


def requests(project, kind):
    return [json.loads(text) for (text,) in project.sql("SELECT request FROM calls") if f'"kind":"{kind}"' in text]


def test_prompts_are_the_templates_own_to_the_byte(project):
    prompts = {asked["prompt"] for asked in requests(project, "generate")}
    first = {prompt for prompt in prompts if "<|assistant|>" not in prompt}
    assert first == {"<|begin|><|user|>", f"<|begin|><|system|>{SYSTEM_TEXTS['math']}<|end|><|user|>"}
    later = prompts - first
    assert len(later) > 12
    for prompt in later:
        assert prompt.count("<|begin|>") == 1
        assert prompt.endswith("<|end|><|user|>")
        assert SEVERAL_ROUNDS in prompt
    asked = [message["role"] for call in requests(project, "chat") for message in call["messages"]]
    assert set(asked) == {"user", "assistant"}


def test_nothing_special_survives_and_samples_differ(project):
    talks = project.sql("SELECT messages, instruction FROM pool")
    assert len({instruction for _, instruction in talks}) > 20
    texts = [turn["content"] for messages, _ in talks for turn in messages]
    assert len(texts) > 48
    assert not any(marker in text for text in texts for marker in SPECIAL)


def test_an_answer_is_the_one_to_the_rendered_talk(project):
    tokenizer = build_tokenizer()
    kind = backend("transformers")
    model = kind(ModelConfig("tiny", model="tiny", folder=project.folder, params=kind.Params(dtype="float32")))

    async def raw():
        await model.start()
        try:
            (talk,) = project.sql("SELECT messages, response FROM pool LIMIT 1")
            turns = talk[0][:-1]
            prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            assert prompt == await model.render(turns, add_generation_prompt=True)
            assert prompt.count("<|begin|>") == 1
            answer = await model.answer(Generate(prompt, Sampling(temperature=0.0, max_tokens=10)))
            return answer.text, talk[1]
        finally:
            await model.close()

    found, response = asyncio.run(raw())
    assert found == response


def test_a_built_table_is_found_again_and_an_unbroken_one_is_the_same(project):
    assert project.plan().pending() == []
    table = project.sql("SELECT row_id, messages FROM pool ORDER BY row_id")
    parts = list((project.home / "objects").glob("*/part-*.parquet"))
    for part in parts:
        part.unlink()
    for manifest in (project.home / "objects").glob("*/manifest.json"):
        manifest.unlink()
    report = project.build()
    assert sum(step["calls_sent"] for step in report.steps) == 0
    assert project.sql("SELECT row_id, messages FROM pool ORDER BY row_id") == table


def openai(url, **params):
    kind = backend("openai")
    return kind(ModelConfig("served", model="m", base_url=url, params=kind.Params(**params)))


def over_http(served, **params):
    async def talk():
        await served.start()
        try:
            return await MAGPIE.fn({"row_id": "r0"}, MAGPIE.params(**params), FakeContext(17, Direct(served)))
        finally:
            await served.close()

    return asyncio.run(talk())


def test_a_server_is_sent_the_prompt_and_adds_nothing_to_it(folder, fake_server):
    server = fake_server()
    (row,) = over_http(openai(server.url, tokenizer=str(folder / "tiny")))
    raw, chat = (hit.body for hit in server.hits)
    assert raw["prompt"] == "<|begin|><|user|>"
    assert (raw["add_special_tokens"], raw["skip_special_tokens"]) == (False, False)
    assert set(raw["stop"]) == {"<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"}
    assert chat["messages"] == [{"role": "user", "content": row["instruction"]}]
    assert "add_special_tokens" not in chat
    assert row["messages"][1] == {"role": "assistant", "content": row["response"]}


def test_a_server_without_a_known_template_needs_a_family(fake_server):
    server = fake_server()
    with pytest.raises(ModelError, match="can't show its chat template") as raised:
        over_http(openai(server.url))
    assert "tokenizer" in raised.value.cure
    assert server.hits == []
    (row,) = over_http(openai(server.url), template="qwen2")
    assert server.hits[0].body["prompt"] == row["pre_query_template"] == "<|im_start|>user\n"
    assert "add_special_tokens" not in server.hits[0].body


def test_a_servers_identity_has_its_template_and_not_the_path(folder, tmp_path):
    here = openai("http://x/v1", tokenizer=str(folder / "tiny")).identity()
    shutil.copytree(folder / "tiny", tmp_path / "moved")
    assert openai("http://x/v1", tokenizer=str(tmp_path / "moved")).identity() == here
    assert str(folder) not in json.dumps(here)
    (tmp_path / "moved" / "chat_template.jinja").write_text("{{ messages }}")
    assert openai("http://x/v1", tokenizer=str(tmp_path / "moved")).identity() != here
    assert "template" not in openai("http://x/v1").identity()
