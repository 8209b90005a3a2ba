"""The loop of one instruction with models that answer rubbish: a bounded number of calls, and a reason."""

import pytest
from operators.codeclm_models import JUDGE, REWRITE, World, constant
from operators.talker import Talker, in_turn

from engine.errors import ModelError, RowError
from engine.request import Answer

RUBBISH = ['{"a": [', "", "Both are good.", "9", "9 5 1", Answer(text=None), "<question>"]


@pytest.mark.parametrize("reply", RUBBISH)
def test_verdicts_that_can_not_be_read_are_asked_again_once_and_end_the_loop(reply):
    world = World(in_turn(reply))
    row = world.run()
    assert (row["status"], row["reason"]) == (
        "parse_failed",
        "a verdict on iteration 1 is not two numbers from 1 to 10",
    )
    assert row["judge_raw"] == [reply if isinstance(reply, str) else ""] * 2
    assert (row["response"], row["messages"], row["quality_gap"], row["strong_score"]) == (None,) * 4
    assert row["strong_response"] == "strong: Make tea."
    assert world.calls == (0, 1, 1, 4)


def test_a_judge_that_repeats_its_prompt_or_never_ends_is_not_read():
    for judge in (Talker(lambda prompt, _: prompt), in_turn(Answer(text="so " * 64, finish_reason="length"))):
        assert World(judge).run()["status"] == "parse_failed"


@pytest.mark.parametrize(
    ("rewrite", "why"),
    [
        (lambda *_: " \n", "is empty"),
        (lambda found, _: found[2], "repeats the instruction"),
        (lambda _, prompt: f"Sure! {prompt}", "repeats the prompt"),
        (lambda *_: Answer(text="so " * 700, finish_reason="length"), "is cut off at max_tokens"),
    ],
)
def test_rewrites_that_can_not_be_used_are_asked_again_once_and_end_the_loop(rewrite, why):
    def say(prompt, _):
        found = REWRITE.search(prompt)
        return rewrite(found, prompt) if found else "strong: yes"

    world = World(constant(5, 5), strong=say)
    row = world.run()
    assert (row["status"], row["reason"]) == ("parse_failed", f"the rewrite of iteration 2 {why}")
    assert (row["iteration"], row["action_history"], row["response"]) == (1, [], None)
    assert world.calls == (2, 1, 1, 2)
    unfiltered = World(None, strong=say).run(filter=False)
    assert [unfiltered[name] for name in ("status", "reason", "response")] == ["parse_failed", row["reason"], None]


def test_empty_answers_are_judged_like_others():
    world = World(constant(9, 5), target=lambda *_: Answer(text=None))
    world.judge = Talker(lambda prompt, _: "1 9" if JUDGE.search(prompt)[2] == "" else "9 1")
    row = world.run()
    assert (row["status"], row["target_response"], row["response"]) == ("accepted_strong", None, "strong: Make tea.")


def test_rows_without_instruction_or_actions_cost_no_call():
    world = World(constant(5, 5))
    for row, why in (
        ({"instruction": ""}, "instruction"),
        ({"actions": None}, "no action"),
        ({"actions": [""]}, "no action"),
    ):
        with pytest.raises(RowError, match=why):
            world.run(row=row)
    assert world.calls == (0, 0, 0, 0)
    assert world.run(row={"actions": None}, max_iterations=1)["status"] == "exhausted"


def test_a_failed_call_fails_the_row():
    def fail(*_):
        raise ModelError("away")

    with pytest.raises(ModelError, match="away"):
        World(constant(9, 5), target=fail).run()
