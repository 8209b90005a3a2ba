"""Rubrics and actions of a use case: four of each, or a reason."""

import re

import pytest
from operators.fakes import FakeContext
from operators.talker import Talker, in_turn, made

from engine.errors import RowError
from engine.registry import operator
from engine.request import Answer

SCORE = operator("score", "self_rubrics")
PAIR = {"use_case": "tea advice", "skills": ["leaf lore", "brewing"]}
RUBRICS = [f"It asks for {k} teas." for k in (1, 2, 3, 4)]
ACTIONS = [f"Name {k} more cups." for k in (1, 2, 3, 4)]


def listed(name, items):
    return f"{name}:\n" + "\n".join(f"{k}. {item}" for k, item in enumerate(items, 1)) + "\n"


GOOD = listed("Rubrics", RUBRICS) + "\n" + listed("Actions", ACTIONS)


def scored(model, row=PAIR, **params):
    return made(SCORE, row, context=FakeContext(model=model), **params)


def test_four_rubrics_and_four_actions():
    model = in_turn(GOOD)
    assert scored(model) == {
        "rubrics": RUBRICS, "actions": ACTIONS, "rubrics_raw": GOOD, "rubrics_reason": None, "rubrics_tries": 1,
    }  # fmt: skip
    (call,) = model.asked
    assert "tea advice" in call.prompt
    assert "leaf lore, brewing" in call.prompt
    assert "4 items each" in call.prompt
    assert (call.sampling.temperature, call.sampling.max_tokens) == (0.7, 1024)


def test_rubrics_are_never_taken_for_actions():
    pairs = enumerate(zip(RUBRICS, ACTIONS, strict=True), 1)
    turns = "\n".join(f"**Rubric {k}:** {rubric}\n**Action {k}:** {action}" for k, (rubric, action) in pairs)
    assert scored(in_turn(turns))["actions"] == ACTIONS


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (in_turn(listed("Rubrics", RUBRICS[:3]) + listed("Actions", ACTIONS)), "3 rubrics instead of 4"),
        (in_turn(listed("Rubrics", RUBRICS) + listed("Actions", [*ACTIONS, "x"])), "5 actions instead of 4"),
        (in_turn(listed("Rubrics", RUBRICS)), "0 actions instead of 4"),
        (in_turn(listed("Rubrics", RUBRICS) + listed("Actions", RUBRICS)), "there twice"),
        (in_turn(listed("Rubrics", RUBRICS) + listed("Actions", [*ACTIONS[:3], ""])), "empty or there twice"),
        (in_turn('{"rubrics": ["a", "b"'), "0 rubrics instead of 4"),
        (in_turn(""), "0 rubrics instead of 4"),
        (in_turn(Answer(text=None)), "0 rubrics instead of 4"),
        (Talker(lambda prompt, _: prompt), "0 rubrics instead of 4"),
        (in_turn(Answer(text=GOOD, finish_reason="length")), r"cut off at max_tokens \(1024\)"),
    ],
)
def test_anything_else_is_asked_again_three_times_and_then_null_with_its_reason(model, reason):
    row = scored(model)
    assert (row["rubrics"], row["actions"], row["rubrics_tries"]) == (None, None, 3)
    assert re.search(reason, row["rubrics_reason"])
    assert len({call.draw for call in model.asked}) == 3
    assert row["rubrics_raw"] is not None


def test_a_reply_that_can_be_read_ends_the_asking():
    assert scored(in_turn("no", GOOD))["rubrics_tries"] == 2
    three = listed("Rubrics", RUBRICS[:3]) + listed("Actions", ACTIONS[:3])
    assert scored(in_turn(three), count=3)["actions"] == ACTIONS[:3]


def test_without_metadata_no_call_is_made():
    model = in_turn(GOOD)
    for bad, why in (({"use_case": "", "skills": ["a"]}, "use case"), ({"use_case": "a", "skills": []}, "no skills")):
        with pytest.raises(RowError, match=why):
            scored(model, bad)
    assert model.asked == []
