"""Chat templates that are shown without loading weights, and what trainers are told of them."""

import asyncio
import json

import pytest
from tiny_model import CHAT_TEMPLATE, build_tokenizer

from engine.errors import ModelError, SetwrightError
from engine.model import ModelConfig
from engine.models._encoding import Encoder
from engine.models._template import ChatTemplate, template_digest
from engine.registry import backend
from engine.request import Generate, Sampling

USER = {"role": "user", "content": "Hi"}
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}x"


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer().save_pretrained(folder)
    return folder


def render(template, *messages, add_generation_prompt=False):
    return asyncio.run(template.render(messages, add_generation_prompt=add_generation_prompt))


def test_the_tokenizers_own_and_another(tokenizer_folder):
    own = ChatTemplate(lambda: tokenizer_folder)
    assert render(own, USER) == "<|begin|><|user|>Hi<|end|>"
    assert render(own, USER, add_generation_prompt=True) == "<|begin|><|user|>Hi<|end|><|assistant|>"
    other = ChatTemplate(lambda: tokenizer_folder, "{{ bos_token }}{{ messages[0]['content'] }}!")
    assert render(other, USER) == "<|begin|>Hi!"


def test_the_folder_is_asked_for_once_and_late(tokenizer_folder):
    asked = []
    template = ChatTemplate(lambda: asked.append(1) or tokenizer_folder)
    assert asked == []

    async def many():
        return await asyncio.gather(*(template.render([USER], add_generation_prompt=False) for _ in range(50)))

    assert len(set(asyncio.run(many()))) == 1
    assert render(template, USER, USER).count("Hi") == 2  # in another event loop
    assert asked == [1]


def test_a_template_that_refuses_is_a_model_error(tokenizer_folder):
    template = ChatTemplate(lambda: tokenizer_folder, NO_SYSTEM)
    with pytest.raises(ModelError, match="refuses a conversation of system, user: no system turns"):
        render(template, {"role": "system", "content": "a"}, USER)


def test_no_template(tokenizer_folder, tmp_path):
    tokenizer = build_tokenizer()
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no chat template"):
        render(ChatTemplate(lambda: tmp_path), USER)
    with pytest.raises(SetwrightError, match="mine holds no chat template"):
        template_digest(tmp_path, "mine")
    with pytest.raises(SetwrightError, match="tokenizer can't be loaded"):
        render(ChatTemplate(lambda: tmp_path / "nowhere"), USER)


def test_one_digest_wherever_the_template_stands(tokenizer_folder, tmp_path):
    digest = template_digest(tokenizer_folder, "a")
    for stored in (CHAT_TEMPLATE, [{"name": "tools", "template": "x"}, {"name": "default", "template": CHAT_TEMPLATE}]):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": stored}))
        assert template_digest(tmp_path, "b") == digest


def test_weights_for_a_trainer(tiny_model):
    kind = backend("transformers")
    params = kind.Params(chat_template="x")
    found = kind(ModelConfig("m", model=tiny_model.name, folder=tiny_model.parent, params=params)).weights()
    assert (found.model, found.revision, found.chat_template) == (str(tiny_model.resolve()), None, "x")


def test_a_special_token_among_the_stops_ends_a_reply():
    encode = Encoder(build_tokenizer(), 512, Sampling(max_tokens=4))
    draft = encode(Generate("a", Sampling(stop=("<|user|>", "\n", "<|nosuch|>"))))
    assert draft.ends == {4}
    assert draft.stop == ("<|user|>", "\n", "<|nosuch|>")


def test_the_script_has_a_template_without_any_tokenizer():
    kind = backend("scripted")
    shown = asyncio.run(kind(ModelConfig("s", params=kind.Params())).render([USER], add_generation_prompt=True))
    assert shown == "<|user|>Hi<|end|><|assistant|>"
