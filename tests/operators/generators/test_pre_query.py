"""Prompts and stops read off chat templates as they are found in the wild."""

import asyncio
from dataclasses import dataclass

import pytest

from engine.errors import ModelError
from engine.operators.generators._pre_query import FAMILIES, around_user, before_user, cut, stop_texts

LLAMA = (
    "{{ '<|begin_of_text|>' }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
QWEN_25 = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. "
    "You are a helpful assistant.<|im_end|>\n' }}{% endif %}{% for m in messages %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PLAIN = "{% for m in messages %}{{ m['role'] | upper }}: {{ m['content'] }}\n{% endfor %}ASSISTANT:"
SHOUTS = "{% for m in messages %}[{{ m['content'] | upper }}]{% endfor %}"
TWICE = "{% for m in messages %}{{ m['content'] + '/' + m['content'] }}{% endfor %}"
COUNTS = "{% for m in messages %}<{{ m['content'] | first }}>{{ m['content'] }}{% endfor %}"


@dataclass
class Template:
    text: str

    async def render(self, messages, *, add_generation_prompt=False):
        from jinja2 import Environment

        return Environment().from_string(self.text).render(
            messages=messages, add_generation_prompt=add_generation_prompt
        )  # fmt: skip


@pytest.mark.parametrize(("text", "family"), [(LLAMA, "llama-3"), (QWEN_25, "qwen2.5")])
def test_a_template_tells_what_its_family_is_known_to_have(text, family):
    known = FAMILIES[family]
    assert asyncio.run(before_user(Template(text), None, ())) == known.begin + known.header
    found = asyncio.run(stop_texts(Template(text), None))
    assert set(found) <= set(known.stops) | {"<|begin_of_text|>"}
    assert {"llama-3": "<|eot_id|>", "qwen2.5": "<|im_end|>"}[family] in found


def test_what_stands_after_the_message_leads_to_the_reply():
    after = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    assert asyncio.run(around_user(Template(LLAMA), ()))[1] == after


def test_a_system_turn_takes_the_place_of_the_default_one():
    turns = ({"role": "system", "content": "Be odd."},)
    prompt = "<|im_start|>system\nBe odd.<|im_end|>\n<|im_start|>user\n"
    for family in (None, FAMILIES["qwen2.5"]):
        assert asyncio.run(before_user(Template(QWEN_25), family, turns)) == prompt


def test_a_later_turn_has_one_beginning_of_text():
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    for family in (None, FAMILIES["llama-3"]):
        prompt = asyncio.run(before_user(Template(LLAMA), family, turns))
        assert prompt.count("<|begin_of_text|>") == 1
        assert prompt.endswith("b<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n")


def test_a_template_without_markers_ends_a_turn_with_its_own_words():
    assert asyncio.run(before_user(Template(PLAIN), None, ())) == "USER: "
    assert asyncio.run(stop_texts(Template(PLAIN), None)) == ("ASSISTANT:",)


@pytest.mark.parametrize("text", [SHOUTS, TWICE, COUNTS])
def test_a_template_that_can_not_be_read_is_an_error_with_its_cure(text):
    with pytest.raises(ModelError, match="can't be told") as raised:
        asyncio.run(before_user(Template(text), None, ()))
    assert "qwen2.5" in raised.value.cure


@pytest.mark.parametrize(
    ("text", "stops", "left"),
    [
        ("a b", ("c",), "a b"),
        (" a<e>b<s>", ("<s>", "<e>"), "a"),
        ("<e>b", ("<e>",), ""),
        (" a ", (), "a"),
    ],
)
def test_cut(text, stops, left):
    assert cut(text, stops) == left
