"""Two answers before a judge in both orders."""

import asyncio

import pytest

from engine.operators._pairwise import judge_both_orders, read_marks

TEMPLATE = "{instruction}|{first}|{second}|{scale}"


def verdict(judge, *, retries=1, scale=10):
    """What a judge, called with (first answer, second answer, attempt), makes of two answers; and what it was asked."""
    seen = []

    async def ask(asked, order, attempt):
        seen.append((asked, order, attempt))
        return judge(*asked.split("|")[1:3], attempt)

    both = judge_both_orders(ask, TEMPLATE, "Why?", ("good", "bad"), scale=scale, retries=retries)
    return asyncio.run(both), seen


def test_both_orders_are_asked_and_the_marks_belong_to_the_answers():
    marks = {"good": "9", "bad": "4.5"}
    found, seen = verdict(lambda first, second, _: f"{marks[first]} {marks[second]}")
    assert (found.marks, found.gap, found.replies, found.retries) == ((9, 4.5), 4.5, ("9 4.5", "4.5 9"), 0)
    assert sorted(seen) == [("Why?|bad|good|10", 1, 0), ("Why?|good|bad|10", 0, 0)]


@pytest.mark.parametrize("bonus", [0, 2])
def test_a_judge_that_prefers_a_place_changes_no_gap(bonus):
    marks = {"good": 7, "bad": 3}
    found, _ = verdict(lambda first, second, _: f"{marks[first] + bonus} {marks[second]}")
    assert found.gap == 4


def test_a_judge_that_always_says_the_same_finds_no_difference():
    found, _ = verdict(lambda *_: "9 5")
    assert (found.marks, found.gap) == ((7, 7), 0)


def test_an_order_that_can_not_be_read_is_asked_again_and_no_other():
    found, seen = verdict(lambda first, _, attempt: "well" if (first, attempt) == ("good", 0) else "8 6")
    assert (found.marks, found.retries) == ((7, 7), 1)
    assert sorted((order, attempt) for _, order, attempt in seen) == [(0, 0), (0, 1), (1, 0)]


def test_a_judge_that_can_not_be_read_is_asked_so_often_and_no_more():
    found, seen = verdict(lambda first, *_: "both are fine" if first == "bad" else "8 6", retries=2)
    assert (found.marks, found.gap, found.replies, found.retries) == (None, None, ("8 6", "both are fine"), 2)
    assert len(seen) == 1 + 3


def test_both_orders_are_in_flight_at_once():
    async def judge():
        arrived = asyncio.Barrier(2)

        async def ask(*_):
            await arrived.wait()
            return "1 2"

        return await judge_both_orders(ask, TEMPLATE, "Why?", ("good", "bad"), scale=10, retries=0)

    assert asyncio.run(asyncio.wait_for(judge(), 5)).replies == ("1 2", "1 2")


@pytest.mark.parametrize(
    ("reply", "marks"),
    [
        ("9 5", (9, 5)),
        ("\n  8.5 7\nThe first is better: 3 of 4.", (8.5, 7)),
        ("Scores: 10, 1", (10, 1)),
        ("9", None),
        ("9 5 2", None),
        ("0 5", None),
        ("11 5", None),
        ("-9 5", None),
        ("9/10 5/10", None),
        ("nine five", None),
        ("The marks are\n9 5", None),
        ("", None),
    ],
)
def test_marks_are_two_numbers_of_the_scale_on_the_first_line(reply, marks):
    assert read_marks(reply, 10) == marks


def test_another_scale():
    assert read_marks("4 5", 5) == (4, 5)
    assert read_marks("4 6", 5) is None
