import asyncio

import pyarrow as pa
import pytest
from operators.fakes import FakeContext, FakeModel
from pydantic import ValidationError

from engine.draws import draw
from engine.errors import ModelError, RowError
from engine.registry import operator
from engine.request import Answer, Sampling

RESPOND = operator("generate", "respond")
YES = {"role": "assistant", "content": "yes"}


def user(text):
    return {"role": "user", "content": text}


def respond(prompt, model=None, **params):
    ctx = FakeContext(17, model or FakeModel())
    return asyncio.run(RESPOND.fn({"row_id": "r0", "prompt": prompt}, RESPOND.params(**params), ctx))


def test_an_answer_to_a_string():
    model = FakeModel()
    assert respond("Is it?", model) == [
        {
            "messages": [user("Is it?"), YES],
            "instruction": "Is it?",
            "response": "yes",
            "sample": 0,
            "finish_reason": "stop",
        }
    ]
    assert model.chats == [([user("Is it?")], draw(17, "r0", 0), Sampling())]


def test_every_sample_has_a_draw_of_its_own_and_keeps_its_place():
    draws = [draw(17, "r0", k) for k in range(3)]
    model = FakeModel(reply=lambda drawn: Answer(text=f"answer {draws.index(drawn)}"))
    assert [(row["sample"], row["response"]) for row in respond("q", model, n=3)] == [
        (0, "answer 0"), (1, "answer 1"), (2, "answer 2"),
    ]  # fmt: skip
    assert [asks.calls for asks in RESPOND.asks_of(RESPOND.params(n=3))] == [(3, 3)]


@pytest.mark.parametrize(
    ("prompt", "system", "asked"),
    [
        ([user("a")], None, [user("a")]),
        ([user("a"), YES], None, [user("a")]),
        ([user("a"), YES, user("b")], None, [user("a"), YES, user("b")]),
        ([user("a"), YES, user("b"), YES, YES], None, [user("a"), YES, user("b")]),
        ("a", "Be brief.", [{"role": "system", "content": "Be brief."}, user("a")]),
        (
            [{"role": "system", "content": "Be long."}, user("a")],
            "Be brief.",
            [{"role": "system", "content": "Be brief."}, user("a")],
        ),
    ],
)
def test_what_is_asked(prompt, system, asked):
    model = FakeModel()
    (row,) = respond(prompt, model, system=system)
    assert model.chats[0][0] == asked
    assert row["messages"] == [*asked, YES]
    assert row["instruction"] == "a"


def test_null_fields_are_not_sent_and_others_are():
    call = {"role": "assistant", "content": None, "tool_calls": "[...]", "name": None}
    model = FakeModel()
    (row,) = respond([{**user("a"), "tool_calls": None, "name": None}, call, user("b")], model)
    assert model.chats[0][0] == [user("a"), {"role": "assistant", "tool_calls": "[...]"}, user("b")]
    assert row["messages"][1] == {"role": "assistant", "content": None}
    pa.array([row["messages"]], RESPOND.writes_of(None, None)["messages"])


def test_sampling_fields_that_are_given():
    model = FakeModel()
    respond("q", model, temperature=0.5, top_p=0.9, max_tokens=7, stop=["\n"])
    assert model.chats[0][2] == Sampling(temperature=0.5, top_p=0.9, max_tokens=7, stop=("\n",))


def test_an_empty_answer_is_data():
    model = FakeModel(reply=lambda _: Answer(text="", finish_reason="length"))
    (row,) = respond("q", model)
    assert (row["response"], row["finish_reason"]) == ("", "length")


def test_a_failure_waits_for_the_other_answers():
    first = draw(17, "r0", 0)
    failure = ModelError("503 after 5 tries")
    model = FakeModel(reply=lambda drawn: failure if drawn == first else Answer(text="late"))
    with pytest.raises(ModelError) as raised:
        respond("q", model, n=4)
    assert raised.value is failure
    assert model.answered == 3


@pytest.mark.parametrize(
    "prompt", [None, "", [], [YES], [{"role": "system", "content": "Be brief."}], [user("")], [user(None), YES]]
)
def test_a_row_without_a_prompt_is_a_row_error_and_no_call(prompt):
    model = FakeModel()
    with pytest.raises(RowError, match="no prompt"):
        respond(prompt, model, system="Be kind.")
    assert model.chats == []


def test_rows_fit_what_is_declared():
    schema = pa.schema(RESPOND.writes_of(RESPOND.params(), None))
    assert pa.Table.from_pylist(respond("q", n=2), schema=schema).to_pylist() == respond("q", n=2)


@pytest.mark.parametrize(
    "params",
    [{"n": 0}, {"n": 2, "temperature": 0.0}, {"temperature": -1.0}, {"top_p": 0.0}, {"max_tokens": 0}, {"seed": 3}],
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        RESPOND.params(**params)
