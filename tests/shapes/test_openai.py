"""OpenAI messages by hand: canonical types, tool calls, parts, and every fault by its place."""

import pyarrow as pa
from shapes.filling import ROLE_CONTENT, TEXT, filled, said

from engine.schema import MESSAGES
from engine.shapes import SHAPES
from engine.shapes._tools import CALLS

NULL = "null, in a message that calls no tool"
ROLE = "unknown role (known: system, developer, user, assistant, tool, function)"


def messages(**fields):
    return pa.list_(pa.struct({"role": TEXT, "content": TEXT, **fields}))


def test_plain_messages_are_canonical():
    rows = [
        {"messages": said("system: s", "user: a", "assistant: b", "user: c", "assistant: d")},
        {"messages": said("user: x")},
    ]
    backwards = pa.list_(pa.struct({"content": TEXT, "role": TEXT}))
    for kind in (ROLE_CONTENT, backwards):
        result, problems = filled("openai", rows, messages=kind)
        assert problems == []
        assert [(row["instruction"], row["response"]) for row in result] == [("a", "d"), ("x", None)]
        assert [row["messages"] for row in result] == [row["messages"] for row in rows]
    table = pa.Table.from_pylist(rows, schema=pa.schema({"messages": backwards}))
    assert SHAPES["openai"].fill(table)[0].schema.field("messages").type == MESSAGES


def test_faults_are_named_by_message_and_field():
    rows = [
        {"messages": None},
        {"messages": []},
        {"messages": said("user: a", "bot: b")},
        {"messages": [*said("user: a"), {"role": "assistant", "content": None}]},
        {"messages": [None, {"role": None, "content": "x"}]},
        {"messages": said("user: fine")},
    ]
    _, problems = filled("openai", rows, messages=ROLE_CONTENT)
    assert sorted(problems) == [
        (0, "messages", "missing or null"),
        (1, "messages", "a conversation without messages"),
        (2, "messages[1].role", ROLE),
        (3, "messages[1].content", NULL),
        (4, "messages[0].content", NULL),
        (4, "messages[0].role", ROLE),
        (4, "messages[1].role", ROLE),
    ]


def test_tool_calls_are_kept_in_their_canonical_type():
    function = pa.struct({"arguments": TEXT, "name": TEXT})
    kind = messages(
        tool_calls=pa.list_(pa.struct({"function": function, "id": TEXT, "index": pa.int64()})),
        tool_call_id=TEXT,
        name=TEXT,
        refusal=pa.null(),
    )
    call = {"id": "c1", "index": 0, "function": {"name": "add", "arguments": '{"a": 1}'}}
    rows = [
        {
            "messages": [
                {"role": "user", "content": "1+1?"},
                {"role": "assistant", "content": None, "tool_calls": [call, call]},
                {"role": "tool", "content": "2", "tool_call_id": "c1", "name": "add"},
                {"role": "assistant", "content": "2", "tool_calls": []},
            ]
        }
    ]
    ((row,), problems) = filled("openai", rows, messages=kind)
    assert problems == []
    whole = {"id": "c1", "type": None, "function": {"name": "add", "arguments": '{"a": 1}'}, "index": 0}
    nothing = {"tool_calls": None, "tool_call_id": None, "name": None}
    assert row["messages"] == [
        {"role": "user", "content": "1+1?", **nothing},
        {"role": "assistant", "content": None, **nothing, "tool_calls": [whole, whole]},
        {"role": "tool", "content": "2", "tool_calls": None, "tool_call_id": "c1", "name": "add"},
        {"role": "assistant", "content": "2", **nothing, "tool_calls": []},
    ]
    assert list(row["messages"][0]) == ["role", "content", "tool_calls", "tool_call_id", "name"]


def test_exactly_the_canonical_call_type_where_nothing_else_is_found():
    function = pa.struct({"name": TEXT, "arguments": pa.struct({"a": pa.int64(), "b": TEXT})})
    kind = messages(tool_calls=pa.list_(pa.struct({"function": function})))
    calls = [{"function": {"name": "f", "arguments": {"a": 1}}}, {"function": {"name": "g", "arguments": None}}]
    table = pa.Table.from_pylist(
        [{"messages": [{"role": "assistant", "content": None, "tool_calls": calls}]}],
        schema=pa.schema({"messages": kind}),
    )
    result, problems = SHAPES["openai"].fill(table)
    assert problems == []
    assert result.schema.field("messages").type.value_type.field("tool_calls").type == CALLS
    found = result["messages"][0].as_py()[0]["tool_calls"]
    assert [call["function"] for call in found] == [
        {"name": "f", "arguments": '{"a": 1}'},
        {"name": "g", "arguments": None},
    ]


def test_a_null_content_needs_a_call():
    call = [{"function": {"name": "f", "arguments": "{}"}}]
    function = pa.struct({"name": TEXT, "arguments": TEXT})
    kind = messages(tool_calls=pa.list_(pa.struct({"function": function})), function_call=function)
    rows = [
        {"messages": [{"role": "assistant", "content": None, "tool_calls": call}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": []}]},
        {"messages": [{"role": "assistant", "content": None, "function_call": call[0]["function"]}]},
    ]
    _, problems = filled("openai", rows, messages=kind)
    assert problems == [(1, "messages[0].content", NULL)]


def test_parts_become_text_only_where_nothing_is_lost():
    part = pa.struct({"type": TEXT, "text": TEXT, "image_url": pa.struct({"url": TEXT})})
    kind = pa.list_(pa.struct({"role": TEXT, "content": pa.list_(part)}))

    def row(*parts):
        return {"messages": [{"role": "user", "content": list(parts)}]}

    text = {"type": "text", "text": "hi"}
    rows = [
        row(text),
        row(text, text),
        row({"type": "image_url", "image_url": {"url": "x"}}),
        row({**text, "image_url": {"url": "x"}}),
        row(),
        {"messages": [{"role": "user", "content": None}]},
        row({"type": "text", "text": ""}),
    ]
    result, problems = filled("openai", rows, messages=kind)
    assert result[0]["messages"] == said("user: hi")
    assert result[6]["messages"] == said("user: ")
    parts = "parts that are not one text (a single part of type text is)"
    assert sorted(problems) == [
        *((i, "messages[0].content", parts) for i in (1, 2, 3, 4)),
        (5, "messages[0].content", NULL),
    ]


def test_parts_of_no_row_at_all():
    kind = pa.list_(pa.struct({"role": TEXT, "content": pa.list_(pa.struct({"type": TEXT, "text": TEXT}))}))
    _, problems = filled("openai", [{"messages": None}, {"messages": []}], messages=kind)
    assert len(problems) == 2
