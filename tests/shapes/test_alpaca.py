"""Alpaca rows by hand: input, system, history, empty and missing texts."""

import pyarrow as pa
from shapes.filling import TEXT, filled, said

COLUMNS = {"instruction": TEXT, "input": TEXT, "output": TEXT}


def test_input_goes_under_the_instruction_where_there_is_one():
    rows = [
        {"instruction": "Add.", "input": "1 2", "output": "3"},
        {"instruction": "Say hi.", "input": "", "output": "hi"},
        {"instruction": "Say ho.", "input": None, "output": ""},
    ]
    result, problems = filled("alpaca", rows, **COLUMNS)
    assert problems == []
    assert [row["messages"] for row in result] == [
        said("user: Add.\n\n1 2", "assistant: 3"),
        said("user: Say hi.", "assistant: hi"),
        said("user: Say ho.", "assistant: "),
    ]
    assert [row["response"] for row in result] == ["3", "hi", ""]
    assert [row["instruction"] for row in result] == ["Add.", "Say hi.", "Say ho."], "the source's own column"


def test_system_and_history_come_first():
    rows = [
        {"instruction": "c", "input": "", "output": "d", "system": "Be brief.", "history": [["a", "b"], ["", "x"]]},
        {"instruction": "c", "input": "", "output": "d", "system": "", "history": []},
        {"instruction": "c", "input": "", "output": "d", "system": None, "history": None},
        {"instruction": "c", "input": "i", "output": "d", "system": "Be long.", "history": [["a", "b"]]},
    ]
    result, problems = filled("alpaca", rows, **COLUMNS, system=TEXT, history=pa.list_(pa.list_(TEXT)))
    assert problems == []
    short = said("user: c", "assistant: d")
    assert [row["messages"] for row in result] == [
        said("system: Be brief.", "user: a", "assistant: b", "user: ", "assistant: x") + short,
        short,
        short,
        said("system: Be long.", "user: a", "assistant: b", "user: c\n\ni", "assistant: d"),
    ]


def test_missing_texts_and_bad_pairs_are_named():
    rows = [
        {"instruction": None, "output": "x", "history": []},
        {"instruction": "a", "output": None, "history": None},
        {"instruction": "a", "output": "b", "history": [["q", "a"], ["q"]]},
        {"instruction": "a", "output": "b", "history": [["q", None]]},
        {"instruction": "a", "output": "b", "history": [None]},
        {"instruction": "a", "output": "b", "history": [["q", "a"]]},
    ]
    result, problems = filled("alpaca", rows, instruction=TEXT, output=TEXT, history=pa.list_(pa.list_(TEXT)))
    pair = "not a list of [question, answer] pairs of text"
    assert sorted(problems) == [
        (0, "instruction", "missing or null"),
        (1, "output", "missing or null"),
        (2, "history", pair),
        (3, "history", pair),
        (4, "history", pair),
    ]
    assert result[5]["messages"] == said("user: q", "assistant: a", "user: a", "assistant: b")


def test_a_column_that_is_there_stays():
    rows = [{"instruction": "a", "output": "b", "response": "mine", "messages": "text", "history": [1]}]
    result, problems = filled(
        "alpaca", rows, instruction=TEXT, output=TEXT, response=TEXT, messages=TEXT, history=pa.list_(pa.int64())
    )
    assert (result, problems) == (rows, [])
