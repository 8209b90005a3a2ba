"""Values without one type: what becomes text, what stays, and that the reader meets them."""

import json

import pyarrow as pa
import pytest
from operators.sources.reading import read_all, written

from engine.operators.sources._reader import Input
from engine.operators.sources.jsonl import READER
from engine.shapes import Loose

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"x": {"default": 1}}}}}
OTHER = {"type": "function", "function": {"name": "g", "parameters": {"properties": {"x": {"default": "one"}}}}}


def through(tmp_path, records, loose):
    path = written(tmp_path / "f.jsonl", "\n".join(map(json.dumps, records)))
    return read_all(READER, Input("f.jsonl", path, loose))


def test_tools_and_arguments_become_json_text(tmp_path):
    def record(tool, arguments):
        call = {"function": {"name": "f", "arguments": arguments}}
        old = {"name": "f", "arguments": arguments}
        message = {"role": "assistant", "content": None, "tool_calls": [call], "function_call": old}
        return {"messages": [message], "tools": [tool], "functions": tool}

    records = [record(TOOL, {"x": 1}), record(OTHER, {"x": "é"}), record(TOOL, '{"x": [0]}')]
    found = through(tmp_path, records, Loose())
    assert found.bad == []
    assert [json.loads(row["tools"]) for row in found.rows] == [[TOOL], [OTHER], [TOOL]]
    assert [json.loads(row["functions"]) for row in found.rows] == [TOOL, OTHER, TOOL]
    for form in (lambda m: m["tool_calls"][0]["function"], lambda m: m["function_call"]):
        arguments = [form(row["messages"][0])["arguments"] for row in found.rows]
        assert arguments == ['{"x": 1}', '{"x": "é"}', '{"x": [0]}']


def test_raw_leaves_them_typed(tmp_path):
    found = through(tmp_path, [{"tools": [TOOL]}], Loose(shaped=False))
    assert found.rows == [{"tools": [TOOL]}]


def test_one_text_part_is_text_and_others_stay(tmp_path):
    one = [{"type": "text", "text": "hi"}]
    more, null = [{**one[0], "cache": {"ttl": 5}}], [{**one[0], "cache": None}]
    contents = (one, "ho", one * 2, None, more, null)
    talks = [{"messages": [{"role": "user", "content": content}]} for content in contents]
    found = through(tmp_path, talks, Loose())
    assert [row["messages"][0]["content"] for row in found.rows] == ["hi", "ho", None, "hi"]
    fault = ("messages[0].content", "a list, where the records before hold text")
    assert found.faults == [(3, *fault), (5, *fault)]


def test_named_columns_hold_json_text_of_anything(tmp_path):
    values = ["text", 1, 2.50, True, {"a": [None, "é"]}, [], None, 2**70]
    found = through(tmp_path, [{"id": i, "v": value} for i, value in enumerate(values)], Loose(["v"]))
    assert found.bad == []
    assert [row["v"] for row in found.rows] == [
        "text", "1", "2.5", "true", '{"a": [null, "é"]}', "[]", None, "1180591620717411303424",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "field", "reason"),
    [
        ('{"x": NaN}', "v", "NaN"),
        ('["\\ud800"]', "v", "a lone surrogate"),
        ('{"x": {"k": 1, "k": 2}}', "", "the key 'k' occurs twice in one object"),
    ],
)
def test_faults_inside_them_are_still_named(tmp_path, value, field, reason):
    path = written(tmp_path / "f.jsonl", f'{{"v": "x"}}\n{{"v": {value}}}\n{{"v": 3}}\n')
    found = read_all(READER, Input("f.jsonl", path, Loose(["v"])))
    ((record, where, why),) = found.faults
    assert (record, where, why.partition(",")[0]) == (2, field, reason)
    assert [row["v"] for row in found.rows] == ["x", "3"]


def test_plain_columns_concern_nobody():
    text = pa.schema(
        {"messages": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})), "tools": pa.string()}
    )
    assert not Loose().concerns(text)
    assert not Loose(["v"]).concerns(pa.schema({"v": pa.string(), "w": pa.int64()}))
    assert Loose(["v"]).concerns(pa.schema({"v": pa.int64()}))
