"""Prompt and completion in every mix of text and messages; plain text."""

import pyarrow as pa
from shapes.filling import ROLE_CONTENT, TEXT, filled, said


def test_texts():
    rows = [
        {"prompt": "q", "completion": "a", "label": True},
        {"prompt": "q", "completion": "", "label": None},
        {"prompt": None, "completion": "a", "label": False},
        {"prompt": "q", "completion": None, "label": False},
    ]
    result, problems = filled("prompt_completion", rows, prompt=TEXT, completion=TEXT, label=pa.bool_())
    assert sorted(problems) == [(2, "prompt", "missing or null"), (3, "completion", "missing or null")]
    assert result[0] == {**rows[0], "messages": said("user: q", "assistant: a"), "instruction": "q", "response": "a"}
    assert result[1] == {**rows[1], "messages": said("user: q", "assistant: "), "instruction": "q", "response": ""}


def test_messages():
    prompt, completion = said("system: s", "user: q", "assistant: b", "user: r"), said("assistant: a")
    ((row,), problems) = filled(
        "prompt_completion",
        [{"prompt": prompt, "completion": completion}],
        prompt=ROLE_CONTENT,
        completion=ROLE_CONTENT,
    )
    assert problems == []
    expected = {"messages": prompt + completion, "instruction": "q", "response": "a"}
    assert row == {"prompt": prompt, "completion": completion, **expected}


def test_a_prompt_of_messages_and_a_completion_of_text():
    rows = [{"prompt": said("user: q"), "completion": "a"}, {"prompt": said("alien: q"), "completion": "a"}]
    result, problems = filled("prompt_completion", rows, prompt=ROLE_CONTENT, completion=TEXT)
    assert result[0]["messages"] == said("user: q", "assistant: a")
    assert [(row, field) for row, field, _ in problems] == [(1, "prompt[0].role")]


def test_a_system_column_goes_before_a_prompt_of_text():
    rows = [{"prompt": "q", "completion": "a", "system": "s"}, {"prompt": "q", "completion": "a", "system": ""}]
    result, _ = filled("prompt_completion", rows, prompt=TEXT, completion=TEXT, system=TEXT)
    assert [row["messages"] for row in result] == [
        said("system: s", "user: q", "assistant: a"),
        said("user: q", "assistant: a"),
    ]


def test_plain_text_is_left_alone():
    rows = [{"text": "a", "url": "x"}, {"text": "", "url": None}, {"text": None, "url": "z"}]
    result, problems = filled("text", rows, text=TEXT, url=TEXT)
    assert (result, problems) == (rows, [(2, "text", "missing or null")])
