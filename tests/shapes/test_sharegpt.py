"""ShareGPT rows by hand, and the published tool-call set in full."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from operators.sources.reading import SHARED
from shapes.filling import FROM_VALUE, ROLE_CONTENT, TEXT, filled, said

from engine.shapes import SHAPES

CALL = '{"name": "add", "arguments": {"a": 1, "b": [2, null]}}'


def turns(*texts):
    pairs = (text.partition(": ") for text in texts)
    return [{"from": role, "value": value} for role, _, value in pairs]


def test_roles_of_both_layouts():
    talk = ["system: s", "human: a", "gpt: b", "user: c", "assistant: d", "observation: e", "tool: f"]
    expected = said("system: s", "user: a", "assistant: b", "user: c", "assistant: d", "tool: e", "tool: f")
    for column in ("conversations", "conversation"):
        ((row,), problems) = filled("sharegpt", [{column: turns(*talk)}], **{column: FROM_VALUE})
        assert problems == []
        assert (row["messages"], row["instruction"], row["response"]) == (expected, "a", "d")
        assert row[column] == turns(*talk)
    ((row,), _) = filled("sharegpt", [{"conversations": said(*talk)}], conversations=ROLE_CONTENT)
    assert row["messages"] == expected


def test_faults_are_named():
    rows = [{"conversations": turns("human: a", "alien: b")}, {"conversations": []}, {"conversations": None},
            {"conversations": [{"from": "gpt", "value": None}]}]  # fmt: skip
    _, problems = filled("sharegpt", rows, conversations=FROM_VALUE)
    assert [(row, field) for row, field, _ in sorted(problems)] == [
        (0, "conversations[1].from"), (1, "conversations"), (2, "conversations"), (3, "conversations[0].value"),
    ]  # fmt: skip


def test_calls_become_tool_calls_where_there_are_tools():
    rows = [
        {"conversations": turns("human: 1+2", f"function_call: {CALL}", "observation: 3", "gpt: 3"), "tools": "[]"},
        {"conversations": turns("human: hi", "gpt: hello"), "tools": None},
        {"conversations": turns("human: two", f"tool_call: [{CALL}, {CALL}]"), "tools": "[]"},
    ]
    result, problems = filled("sharegpt", rows, conversations=FROM_VALUE, tools=TEXT)
    assert problems == []
    call = {"id": None, "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": [2, null]}'}}
    plain = {"tool_calls": None}
    assert [[dict(m) for m in row["messages"]] for row in result] == [
        [
            {"role": "user", "content": "1+2", **plain},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "3", **plain},
            {"role": "assistant", "content": "3", **plain},
        ],
        [{"role": "user", "content": "hi", **plain}, {"role": "assistant", "content": "hello", **plain}],
        [
            {"role": "user", "content": "two", **plain},
            {"role": "assistant", "content": None, "tool_calls": [call, call]},
        ],
    ]
    assert [row["tools"] for row in result] == ["[]", None, "[]"]


@pytest.mark.parametrize(
    "value",
    ["no json", "{}", "[]", '{"name": 1}', '{"name": "f", "id": 3}', '"x"', '{"name": "\\ud800"}', "[1]", "[" * 5000],
)
def test_a_call_that_is_none_is_named(value):
    rows = [{"conversations": turns("human: a", "gpt: b", f"function_call: {value}"), "tools": "[]"}]
    _, problems = filled("sharegpt", rows, conversations=FROM_VALUE, tools=TEXT)
    reason = "not the JSON text of a call with a name, or of a list of calls"
    assert problems == [(0, "conversations[2].value", reason)]


def test_without_tools_a_call_is_what_the_assistant_said():
    ((row,), problems) = filled(
        "sharegpt", [{"conversations": turns(f"function_call: {CALL}")}], conversations=FROM_VALUE
    )
    assert problems == []
    assert row["messages"] == [{"role": "assistant", "content": CALL}]


def test_the_system_column_goes_first_once():
    rows = [
        {"conversations": turns("human: a"), "system": "s"},
        {"conversations": turns("system: s", "human: a"), "system": "s"},
        {"conversations": turns("system: t", "human: a"), "system": "s"},
        {"conversations": turns("human: a"), "system": ""},
        {"conversations": turns("human: a"), "system": None},
        {"conversations": turns("system: t", "human: a"), "system": None},
    ]
    result, problems = filled("sharegpt", rows, conversations=FROM_VALUE, system=TEXT)
    assert problems == [(2, "system", "differs from the system message that the conversation begins with")]
    assert [row["messages"] for row in result if row is not result[2]] == [
        said("system: s", "user: a"), said("system: s", "user: a"), said("user: a"), said("user: a"),
        said("system: t", "user: a"),
    ]  # fmt: skip


def test_further_fields_of_turns_are_kept():
    kind = pa.list_(pa.struct({"from": TEXT, "value": TEXT, "weight": pa.float64(), "note": pa.null()}))
    ((row,), _) = filled(
        "sharegpt", [{"conversations": [{"from": "gpt", "value": "a", "weight": 0.5}]}], conversations=kind
    )
    assert row["messages"] == [{"role": "assistant", "content": "a", "weight": 0.5}]


def test_published_calls_row_by_row():
    path = SHARED / "conversations" / "glaive_toolcall_300.parquet"
    if not path.exists():
        pytest.skip("the shared data is not here")
    table = pq.read_table(path)
    result, problems = SHAPES["sharegpt"].fill(table)
    assert problems == []
    calls = 0
    for row, source in zip(result.to_pylist(), table.to_pylist(), strict=True):
        assert len(row["messages"]) == len(source["conversations"])
        for message, turn in zip(row["messages"], source["conversations"], strict=True):
            if turn["from"] == "function_call":
                (call,) = message["tool_calls"]
                assert json.loads(turn["value"]) == {
                    "name": call["function"]["name"], "arguments": json.loads(call["function"]["arguments"]),
                }  # fmt: skip
                calls += 1
            else:
                assert (message["content"], message["tool_calls"]) == (turn["value"], None)
    assert calls > 100
