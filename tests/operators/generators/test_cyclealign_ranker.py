"""What the black box is shown, and how its replies are read."""

import re
from collections import Counter

import pytest
from operators.talker import Talker, in_turn
from operators.toy_box import QUERY, ToyBox, best_first, cycle, demo, shown

from engine.errors import RowError
from engine.operators.generators._cyclealign_ranker import read_ranking

STATIC = [demo("first", "s1 good", "s1 bad"), demo("second", "s2 good", "s2 bad"), demo("third", "s3 good", "s3 bad")]
DYNAMIC = [demo(f"case {i}", f"d{i} good", f"d{i} bad") for i in range(5)]


def demonstrations(blackbox):
    """The prompts of the demonstrations in the last prompt, and their rankings."""
    prompt = blackbox.asked[-1].prompt
    asked = [
        found.strip() for found in re.findall(r"=== Conversation ===\nUser: (.*?)\n\n=== Answers", prompt, re.DOTALL)
    ]
    return asked[:-1], re.findall(r"\nRanking: (.*)\n", prompt)


def test_letters_are_shuffled_and_the_order_is_kept():
    orders = Counter()
    for i in range(60):
        blackbox = best_first(len)
        found = cycle(["a", "a b", "b a c"], blackbox, row={"row_id": f"r{i}"})
        behind = [found["responses"].index(text) for text in shown(blackbox.asked[0].prompt).values()]
        assert behind == found["label_order"]
        assert found["blackbox_ranking"] == [2, 1, 0]
        orders[tuple(behind)] += 1
    assert len(orders) == 6


def test_a_judge_that_always_says_the_same_follows_the_shuffle_and_shows_it():
    found = [cycle(["a", "b", "c"], in_turn("A > B > C"), row={"row_id": f"r{i}"}) for i in range(60)]
    assert all(row["blackbox_ranking"] == row["label_order"] for row in found)
    assert len({tuple(row["blackbox_ranking"]) for row in found}) == 6
    ratio = sum(row["agreement_ratio"] for row in found) / len(found)
    assert ratio == pytest.approx(2 / 3, abs=0.08)  # (3 + 4 * 2 + 1) / 6 of three answers, if all orders are as likely


@pytest.mark.parametrize(
    "rubbish", ["", "A > B", "A > A > B", "A > B > C > D", "The best is A.", "A > B > C\nor C > B > A", "A > B = C"]
)
def test_a_reply_that_is_no_ranking_is_asked_for_once_more_and_then_counted(rubbish):
    blackbox = in_turn(rubbish)
    found = cycle(["a", "b", "c"], blackbox)
    assert len(blackbox.asked) == found["blackbox_tries"] == 2
    assert blackbox.asked[0].prompt != blackbox.asked[1].prompt  # other letters
    assert blackbox.asked[0].draw != blackbox.asked[1].draw
    assert (found["status"], found["reason"]) == ("unreadable", "no reply of 2 ranks all 3 answers")
    assert (found["blackbox_ranking"], found["blackbox_raw"]) == (None, rubbish)
    assert not found["used_for_training"]
    assert not found["used_as_demo"]
    assert found["whitebox_ranking"] == [0, 1, 2]
    again = cycle(["a", "b", "c"], in_turn(rubbish, "c > b > a"))
    assert (again["status"], again["blackbox_tries"]) == ("ranked", 2)


def test_what_is_read_as_a_ranking():
    order = [2, 0, 1]
    for reply in (
        "B > A > C",
        "Ranking: **B** > **A** > **C**.",
        "b>a>c",
        "A > B is wrong.\n\nB > A > C\n",
        "[B] > [A] > [C]",
    ):
        assert read_ranking(reply, order) == [0, 2, 1]
    for reply in ("B, A, C", "A good answer is B > A", "BAC", "Because > that"):
        assert read_ranking(reply, order) is None


def test_static_demonstrations_first_then_the_newest_dynamic_ones():
    blackbox = best_first(len)
    found = cycle(["a", "b"], blackbox, static=STATIC, dynamic=DYNAMIC, static_demos=2, dynamic_demos=3)
    assert demonstrations(blackbox) == (["first", "second", "case 2", "case 3", "case 4"], ["B > A"] * 5)
    assert found["demo_ids"] == ["s0", "s1", "s2", "s3", "s4"]  # each table counts its own from s0


def test_the_prompt_that_is_ranked_is_never_shown_and_no_prompt_twice():
    blackbox = best_first(len)
    dynamic = [*DYNAMIC, demo("case 3", "new good", "new bad"), demo("Say something.", "own good", "own bad")]
    cycle(
        ["a", "b"], blackbox, static=[*STATIC[:1], demo("Say something.", "x", "y")], dynamic=dynamic, dynamic_demos=3
    )
    assert demonstrations(blackbox)[0] == ["first", "case 2", "case 4", "case 3"]
    assert "new good" in blackbox.asked[0].prompt
    assert "d3 good" not in blackbox.asked[0].prompt


def test_no_dynamic_demonstrations_means_the_same_prompt_in_every_cycle():
    prompts = []
    for dynamic in (None, DYNAMIC[:2], DYNAMIC):
        blackbox = best_first(len)
        cycle(["a", "b", "c"], blackbox, static=STATIC, dynamic=dynamic, dynamic_demos=0)
        prompts.append(blackbox.asked[0].prompt)
    assert len(set(prompts)) == 1
    assert demonstrations(blackbox)[0] == ["first", "second"]


def test_a_conversation_is_its_own_query_as_a_demonstration():
    turns = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "One."},
        {"role": "user", "content": "Two?"},
    ]
    blackbox = best_first(len)
    dynamic = [{**demo("x", "good", "bad"), "prompt": [*turns, {"role": "assistant", "content": "good"}]}]
    box = ToyBox(["a", "b"])
    found = cycle(["", ""], blackbox, whitebox=box, row={"prompt": turns, "prompt_id": "p7"}, dynamic=dynamic)
    assert found["demo_ids"] == []
    assert QUERY.match(blackbox.asked[0].prompt)[1] == "User: One?\n\nAssistant: One.\n\nUser: Two?"
    assert found["prompt"] == turns
    assert found["prompt_id"] == "p7"
    assert box.scored[0] == (("user", "assistant", "user"), "a")


def test_a_demonstration_shows_the_agreement_alone_in_the_order_of_its_answers():
    blackbox = best_first(len)
    dynamic = [{"prompt": "old", "responses": ["zero", "one", "two", "three"], "ranking": [3, 0, 2]}]
    cycle(["a", "b"], blackbox, dynamic=dynamic)
    assert "[A]\nzero\n\n[B]\ntwo\n\n[C]\nthree\n\nRanking: C > A > B\n" in blackbox.asked[0].prompt
    assert "one" not in blackbox.asked[0].prompt.partition("=== Conv")[2].partition("=== Conv")[0]


def test_long_demonstrations_are_cut_and_the_query_is_not():
    blackbox = best_first(len)
    long = "x" * 5000
    box = ToyBox(["a " * 3000, "b"], value=lambda _: -1.0)
    dynamic = [demo("head " + long + " tail", "short", "y" * 5000)]
    cycle(["", ""], blackbox, whitebox=box, row={"prompt": "q" * 5000}, dynamic=dynamic, max_demo_chars=1000)
    case = blackbox.asked[0].prompt.partition("=== Conversation")[2].partition("=== Conversation")[0]
    assert 950 < len(case) < 1150
    assert "short" in case
    assert " tail" in case
    assert "head" not in case
    assert "q" * 5000 in blackbox.asked[0].prompt
    assert "a " * 3000 in blackbox.asked[0].prompt


@pytest.mark.parametrize("ranking", [[0], [0, 0], [0, 2], None])
def test_a_demonstration_without_a_ranking_is_refused(ranking):
    with pytest.raises(RowError, match="demonstration s0: its ranking is"):
        cycle(["a", "b"], best_first(len), static=[{"prompt": "x", "responses": ["p", "q"], "ranking": ranking}])


def test_a_demonstration_without_a_prompt_is_refused():
    with pytest.raises(RowError, match="demonstration s0: there is no prompt"):
        cycle(["a", "b"], best_first(len), static=[{"prompt": "", "responses": ["p", "q"], "ranking": [0, 1]}])


def test_a_reply_that_repeats_the_prompt_is_no_ranking():
    echo = Talker(lambda prompt, _: prompt)
    found = cycle(["a", "b"], echo, static=STATIC)
    assert "Ranking: B > A" in found["blackbox_raw"]
    assert found["status"] == "unreadable"
