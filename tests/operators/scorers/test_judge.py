"""The pairwise judge: verdicts of both orders, replies that can't be read, what it is shown, and who may not judge."""

import pyarrow as pa
import pytest
from operators.direct import answers, scripted
from pydantic import ValidationError

from engine.errors import ModelError, RowError
from engine.fingerprint import fingerprint
from engine.operators._pairwise import read_letter
from engine.registry import operator

JUDGE = operator("score", "judge")
ROW = {"prompt": "Why?", "chosen": "good answer", "rejected": "bad"}
FIRST = {"match": r"<answer_(a|1)>\ngood"}
BY_LETTER = [{**FIRST, "reply": "A reads well.\n[[A]]"}, {"reply": "B reads well.\n[[B]]"}]


def judged(replies, row=ROW, **params):
    return answers(JUDGE, scripted(replies), row, **params)


def orders(found):
    return [found[f"judge_{name}"] for name in ("verdict", "first_order", "second_order", "flipped")]


def test_a_judge_that_reads_names_the_better_answer_in_both_orders():
    model = scripted(BY_LETTER)
    found = answers(JUDGE, model, ROW)
    assert orders(found) == ["chosen", "chosen", "chosen", False]
    assert found["judge_replies"] == ["A reads well.\n[[A]]", "B reads well.\n[[B]]"]
    assert (found["judge_longer"], found["judge_retries"], found["judge_reason"]) == ("chosen", 0, None)
    assert found["judge_model"] == f"script@{fingerprint(model.backend.identity())[:12]}"
    assert [chat.sampling.temperature for chat in model.chats] == [0, 0]
    assert found.keys() <= JUDGE.writes_of(JUDGE.params(), None).keys()
    pa.Table.from_pylist([found], schema=pa.schema(JUDGE.writes_of(JUDGE.params(), None)))


@pytest.mark.parametrize(
    ("in_first", "in_second", "expected"),
    [
        ("[[A]]", "[[A]]", ["tie", "chosen", "rejected", True]),  # it prefers the first place
        ("[[B]]", "[[B]]", ["tie", "rejected", "chosen", True]),
        ("[[B]]", "[[A]]", ["rejected", "rejected", "rejected", False]),
        ("[[C]]", "[[C]]", ["tie", "tie", "tie", False]),
        ("[[C]]", "[[B]]", ["tie", "tie", "chosen", True]),
    ],
)
def test_what_is_not_said_in_both_orders_is_a_tie(in_first, in_second, expected):
    assert orders(judged([{**FIRST, "reply": in_first}, {"reply": in_second}])) == expected


def test_marks_decide_each_order_and_their_means_are_kept():
    found = judged([{**FIRST, "reply": "9 5"}, {"reply": "6 7.5\nas I see it"}], form="marks")
    assert orders(found) == ["chosen", "chosen", "chosen", False]
    assert (found["judge_chosen_mark"], found["judge_rejected_mark"]) == ((9 + 7.5) / 2, (5 + 6) / 2)
    flipped = judged([{"reply": "9 5"}], form="marks")
    assert orders(flipped) == ["tie", "chosen", "rejected", True]
    assert orders(judged([{"reply": "4 4"}], form="marks", scale=5)) == ["tie", "tie", "tie", False]


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("[[A]]", "A"),
        ("A is wrong.\n\nMy verdict: [[B]].", "B"),
        ("[[C]] and again [[C]]", "C"),
        ("[[A]] or rather [[B]]", None),
        ("[A]", None),
        ("[[D]]", None),
        ("", None),
    ],
)
def test_a_letter_is_read_where_it_is_the_only_one(reply, letter):
    assert read_letter(reply) == letter


def test_an_order_that_can_not_be_read_is_asked_again_by_chance_and_then_there_is_no_verdict():
    model = scripted([{**FIRST, "reply": "[[A]]"}, {"reply": "Both are fine."}])
    found = answers(JUDGE, model, ROW, retries=2)
    assert orders(found) == [None, "chosen", None, None]
    assert (found["judge_retries"], found["judge_replies"]) == (2, ["[[A]]", "Both are fine."])
    assert found["judge_reason"] == "in one of the orders, no reply of 3 is [[A]], [[B]] or [[C]]"
    assert sorted(chat.sampling.temperature for chat in model.chats) == [0, 0, 0.7, 0.7]
    assert len({chat.draw for chat in model.chats}) == 4
    assert judged([{"reply": "11 5"}], form="marks")["judge_chosen_mark"] is None


def test_a_second_try_is_enough():
    model = scripted([{"reply": ["well", "[[C]]"]}])
    found = answers(JUDGE, model, ROW, retries=20)
    assert orders(found) == ["tie", "tie", "tie", False]
    assert found["judge_retries"] == len(model.chats) - 2 > 0


def test_conversations_are_shown_as_transcripts_and_single_turns_as_their_text():
    asked = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    row = {
        "prompt": [*asked, {"role": "user", "content": "Why {first}?"}],
        "chosen": [{"role": "assistant", "content": "So."}],
        "rejected": [{"role": "assistant", "content": "No"}, {"role": "user", "content": "Oh"}],
    }
    model = scripted([], default="[[C]]")
    found = answers(JUDGE, model, row)
    shown = next(
        chat.messages[0]["content"] for chat in model.chats if "<answer_a>\nSo.\n" in chat.messages[0]["content"]
    )
    assert "<question>\nUser: Hi\n\nAssistant: Yes?\n\nUser: Why {first}?\n</question>" in shown
    assert "<answer_b>\nAssistant: No\n\nUser: Oh\n</answer_b>" in shown
    assert found["judge_longer"] == "rejected"


def test_an_empty_answer_is_judged_and_labels_that_are_verdicts_are_kept():
    row = {"prompt": "Why?", "chosen": "", "rejected": "", "label": "tie"}
    found = judged([{"reply": "[[C]]"}], row)
    assert (found["judge_verdict"], found["judge_longer"], found["judge_label"]) == ("tie", "tie", "tie")
    assert [judged([{"reply": "[[C]]"}], {**row, "label": label})["judge_label"] for label in (1, "A", None)] == [
        None
    ] * 3


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"chosen": None}, "no chosen answer"),
        ({"rejected": []}, "no rejected answer"),
        ({"author_chosen": "Script"}, "author_chosen is Script"),
        ({"author_rejected": f"other@{fingerprint(scripted(BY_LETTER).backend.identity())[:12]}"}, "author_rejected"),
    ],
)
def test_rows_that_are_not_judged(change, why):
    with pytest.raises(RowError, match=why):
        judged(BY_LETTER, ROW | change)


def test_other_authors_and_a_judge_that_may_judge_itself():
    theirs = {"author_chosen": "teacher", "author_rejected": None}
    assert judged(BY_LETTER, ROW | theirs)["judge_verdict"] == "chosen"
    assert judged(BY_LETTER, ROW | {"author_chosen": "script"}, allow_self=True)["judge_verdict"] == "chosen"


def test_a_failed_call_costs_the_row_and_not_the_reply_of_the_other_order():
    model = scripted([{**FIRST, "reply": "[[A]]"}])
    with pytest.raises(ModelError):
        answers(JUDGE, model, ROW)
    assert len(model.chats) == 2


def test_the_protocol_changes_with_what_is_asked_and_with_nothing_else():
    known = JUDGE.params().protocol
    same = [{"min_agreement": 0.7}, {"allow_self": True}, {"prompts": {"marks": "{instruction}{first}{second}"}}]
    other = [{"form": "marks"}, {"temperature": 0.5}, {"prompts": {"letter": "{instruction}{first}{second}"}}]
    assert {JUDGE.params(**params).protocol for params in same} == {known}
    assert len({known, *(JUDGE.params(**params).protocol for params in other)}) == 4


def test_params_that_can_not_be_meant():
    with pytest.raises(ValidationError, match="always the same"):
        JUDGE.params(retry_temperature=0)
    with pytest.raises(ValidationError, match=r"needs \{second\}"):
        JUDGE.params(prompts={"letter": "{instruction} {first}"})


def test_what_a_row_takes():
    ((asks,), (gated,), (drawn,)) = (
        JUDGE.asks_of(JUDGE.params(**p)) for p in ({}, {"min_agreement": 0.5}, {"temperature": 1.0, "retries": 0})
    )
    assert (asks.calls, gated.calls, drawn.calls) == ((1, 4), (0, 4), (2, 2))
    assert JUDGE.roles_of(JUDGE.params())["model"].impartial
    assert not JUDGE.roles_of(JUDGE.params(allow_self=True))["model"].impartial
