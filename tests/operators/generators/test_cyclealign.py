"""One cycle on a toy white box and a black box that answers by a function: both rankings, labels, and bad input."""

import math
import re
from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pytest
from operators.fakes import FakeContext
from operators.talker import Talker, in_turn, made, side
from pydantic import ValidationError

from engine.errors import ModelError, RowError
from engine.operators.generators._cyclealign_ranker import read_ranking
from engine.registry import operator
from engine.request import Answer

CYCLE = operator("generate", "cyclealign")
QUERY = re.compile(r".*=== Conversation ===\n(.*?)\n\n=== Answers ===\n(.*?)\n\nReply with", re.DOTALL)
ANSWER = re.compile(r"^\[([A-Z])\]\n(.*?)(?=\n\n\[[A-Z]\]\n|\Z)", re.DOTALL | re.MULTILINE)


def shown(prompt):
    """The query's answers by their letters."""
    return dict(ANSWER.findall(QUERY.match(prompt)[2]))


def best_first(key):
    """A black box that ranks by `key(answer)`, the highest first."""

    def say(prompt, _):
        answers = shown(prompt)
        return " > ".join(sorted(answers, key=lambda letter: -key(answers[letter])))

    return Talker(say)


class ToyBox(Talker):
    """A white box that says these answers in turn and knows three tokens and the end of a turn."""

    def __init__(self, answers, value=None, logp=None):
        self.logp = logp or {"a": -0.5, "b": -1.0, "c": -3.0, None: -0.2}
        self.left = list(answers)
        self.scored = []
        self.value = value or self.known
        super().__init__(lambda *_: self.left.pop(0))

    def known(self, text):
        return math.fsum(self.logp[token] for token in [*text.split(), None])

    async def reply_loglikelihood(self, messages):
        *before, last = messages
        self.scored.append((tuple(turn["role"] for turn in before), last["content"]))
        return Answer(value=self.value(last["content"]), tokens_out=len(last["content"].split()) + 1)


def cycle(answers, blackbox, *, static=None, dynamic=None, seed=17, whitebox=None, row=None, **params):
    """The row that comes of one prompt."""
    sides = {name: side(rows) for name, rows in (("static", static), ("dynamic", dynamic)) if rows is not None}
    models = {"whitebox": whitebox or ToyBox(answers), "blackbox": blackbox}
    context = FakeContext(seed, models=models, sides=sides)
    given = {"prompt": "Say something.", **(row or {})}
    (found,) = made(CYCLE, given, context=context, **{"n": len(answers), **params})
    return found


def demo(prompt, *ranked):
    """A demonstration whose answers are stored worst first."""
    return {"prompt": prompt, "responses": list(reversed(ranked)), "ranking": list(reversed(range(len(ranked))))}


def test_scores_are_the_mean_over_tokens_and_the_end_of_the_turn():
    found = cycle(["a", "b c", "a a c"], best_first(len))
    assert found["whitebox_scores"] == pytest.approx([(-0.5 - 0.2) / 2, (-1 - 3 - 0.2) / 3, (-1 - 3 - 0.2) / 4])
    assert found["whitebox_ranking"] == [0, 2, 1]


def test_length_alone_decides_nothing():
    """A token as likely as the mean leaves the mean, however often it is repeated."""
    box = ToyBox(["a", "b b b b b b b b", "a b"], logp={"a": -0.5, "b": -0.5, None: -0.5})
    found = cycle(["", "", ""], best_first(len), whitebox=box)
    assert found["whitebox_scores"] == pytest.approx([-0.5] * 3)


def test_both_rankings_and_what_they_agree_on():
    answers = ["a b", "a", "c", "b"]  # the white box: a, a b, b, c
    found = cycle(answers, best_first(lambda text: ["c", "a b", "a", "b"].index(text) * -1))
    assert found["whitebox_ranking"] == [1, 0, 3, 2]
    assert found["blackbox_ranking"] == [2, 0, 1, 3]
    assert found["agreement_ranking"] == [0, 3]
    assert found["agreement_ratio"] == 0.5
    assert found["train_ranking"] == [2, 0, 1, 3]
    assert found["used_for_training"]
    assert not found["used_as_demo"]
    assert (found["status"], found.get("reason")) == ("ranked", None)
    assert found["prompt"] == [{"role": "user", "content": "Say something."}]
    assert (found["prompt_id"], found["blackbox_tries"]) == ("r0", 1)


@pytest.mark.parametrize(
    ("order", "agreed", "usable"), [("acb", [0, 2], False), ("abc", [0, 1, 2], True), ("cba", [2], False)]
)
def test_agreement_as_the_label_of_training(order, agreed, usable):
    found = cycle(["a", "b", "c"], best_first(lambda text: -order.index(text)), train_label="agreement")
    assert found["agreement_ranking"] == agreed
    assert found["train_ranking"] == (agreed if len(agreed) > 1 else None)
    assert found["used_for_training"] == (len(agreed) > 1)
    assert found["used_as_demo"] == usable


def test_two_answers_are_a_demonstration_when_both_agree():
    assert cycle(["a", "b"], best_first(lambda text: text == "a"))["used_as_demo"]
    assert not cycle(["a", "b"], best_first(lambda text: text == "b"))["used_as_demo"]
    assert not cycle(["a", "b", "c"], best_first(lambda text: -"abc".index(text)), min_agreement=4)["used_as_demo"]


def test_equal_and_empty_answers_are_left_out_and_counted():
    found = cycle(["a", " ", "b", "a", "a"], best_first(len), extra=3, row={"extra_responses": ["b", "c", None, "a c"]})
    assert found["responses"] == ["a", "b", "c"]
    assert found["response_source"] == ["whitebox", "whitebox", "extra"]
    assert (found["duplicates"], found["empty"], found["cut"]) == (3, 2, 0)
    assert cycle(["a", Answer(text="b", finish_reason="length")], best_first(len))["cut"] == 1


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


@pytest.mark.parametrize("value", [math.nan, -math.inf, None])
def test_a_likelihood_that_is_no_number_ends_the_row_before_the_black_box(value):
    blackbox = best_first(len)
    box = ToyBox(["a", "b"], value=lambda text: value if text == "b" else -1.0)
    found = cycle(["", ""], blackbox, whitebox=box)
    assert (found["status"], found["reason"]) == (
        "unscored",
        f"response 1: its log-probability is {value} over 2 tokens",
    )
    assert found["whitebox_scores"] == [-0.5, None]
    assert not blackbox.asked
    assert not found["used_for_training"]


def raises(error):
    def value(_):
        raise error

    return value


def test_an_answer_that_the_white_box_refuses_to_score():
    box = ToyBox(["a", "b"], value=raises(ModelError("too long", status=400)))
    assert cycle(["", ""], best_first(len), whitebox=box)["reason"] == "response 0: too long"
    with pytest.raises(ModelError, match="gone"):
        cycle(["", ""], best_first(len), whitebox=ToyBox(["a", "b"], value=raises(ModelError("gone", status=500))))


@pytest.mark.parametrize("answers", [["a", "a", "a"], ["a", "", ""], ["", " ", "\n"]])
def test_fewer_than_two_different_answers(answers):
    blackbox = best_first(len)
    box = ToyBox(answers)
    found = cycle(answers, blackbox, whitebox=box)
    assert found["status"] == "few_answers"
    assert found[
        "reason"
    ] == f"{len(set(answers) & {'a'})} different answers: {found['duplicates']} are duplicates, " + (
        f"{found['empty']} empty"
    )
    assert found["duplicates"] + found["empty"] + len(found["responses"]) == 3
    assert not box.scored
    assert not blackbox.asked


STATIC = [demo("first", "s1 good", "s1 bad"), demo("second", "s2 good", "s2 bad"), demo("third", "s3 good", "s3 bad")]
DYNAMIC = [demo(f"case {i}", f"d{i} good", f"d{i} bad") for i in range(5)]


def demonstrations(blackbox):
    """The prompts of the demonstrations in the last prompt, and their rankings."""
    prompt = blackbox.asked[-1].prompt
    asked = [
        found.strip() for found in re.findall(r"=== Conversation ===\nUser: (.*?)\n\n=== Answers", prompt, re.DOTALL)
    ]
    return asked[:-1], re.findall(r"\nRanking: (.*)\n", prompt)


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


@pytest.mark.parametrize(
    ("ranking", "problem"), [([0], "ranking is"), ([0, 0], "ranking is"), ([0, 2], "ranking is"), (None, "ranking is")]
)
def test_a_demonstration_without_a_ranking_is_refused(ranking, problem):
    with pytest.raises(RowError, match=f"demonstration s0.*{problem}"):
        cycle(["a", "b"], best_first(len), static=[{"prompt": "x", "responses": ["p", "q"], "ranking": ranking}])


def test_a_demonstration_without_a_prompt_is_refused():
    with pytest.raises(RowError, match="demonstration s0: there is no prompt"):
        cycle(["a", "b"], best_first(len), static=[{"prompt": "", "responses": ["p", "q"], "ranking": [0, 1]}])


def test_a_reply_that_repeats_the_prompt_is_no_ranking():
    echo = Talker(lambda prompt, _: prompt)
    found = cycle(["a", "b"], echo, static=STATIC)
    assert "Ranking: B > A" in found["blackbox_raw"]
    assert found["status"] == "unreadable"


def test_nothing_to_answer():
    with pytest.raises(RowError, match="no prompt"):
        cycle(["a", "b"], best_first(len), row={"prompt": ""})


def test_draws_are_distinct_and_the_row_is_the_same_every_time():
    whitebox, blackbox = ToyBox(["a", "b", "c"]), in_turn("?")
    one = cycle(["", "", ""], blackbox, whitebox=whitebox)
    assert len({call.draw for call in [*whitebox.asked, *blackbox.asked]}) == 5
    assert one == cycle(["", "", ""], in_turn("?"), whitebox=ToyBox(["a", "b", "c"]))
    other = cycle(["", "", ""], in_turn("?"), whitebox=ToyBox(["a", "b", "c"]), seed=18)
    assert one["label_order"] != other["label_order"] or one != other


def test_how_each_model_is_asked():
    whitebox, blackbox = ToyBox(["a", "b"]), best_first(len)
    cycle(["", ""], blackbox, whitebox=whitebox)
    assert {call.sampling.temperature for call in whitebox.asked} == {1.0}
    assert {call.sampling.temperature for call in blackbox.asked} == {0.0}


@pytest.mark.parametrize(
    "params", [{"n": 1}, {"n": 20, "extra": 7}, {"n": 0}, {"temperature": 0.0}, {"min_agreement": 1}]
)
def test_params_that_can_rank_nothing(params):
    with pytest.raises(ValidationError):
        CYCLE.params(**params)


def test_extra_answers_are_read_only_where_they_are_asked_for():
    assert "extra_responses" not in CYCLE.reads_of(CYCLE.params())
    reads = CYCLE.reads_of(CYCLE.params(extra=2))
    assert reads["extra_responses"].type.accepts(pa.list_(pa.string()))
    assert not reads["extra_responses"].optional


def test_the_plan_hears_of_every_call():
    params = CYCLE.params(n=4, extra=1, tries=3)
    assert [(one.role, one.calls) for one in CYCLE.asks_of(params)] == [
        ("whitebox", (4, 4)), ("whitebox", (0, 5)), ("blackbox", (0, 3)),
    ]  # fmt: skip
    prompts = [CYCLE.asks_of(CYCLE.params(dynamic_demos=k))[2].prompt for k in (0, 1, 2)]
    assert all(one[0] == other[0] and one[1] < other[1] for one, other in pairwise(prompts))


def test_given_answers_are_ranked_without_any_of_the_white_box():
    whitebox = ToyBox([])
    found = cycle([], best_first(len), whitebox=whitebox, extra=3, row={"extra_responses": ["a", "a b", "c c c", "b"]})
    assert found["responses"] == ["a", "a b", "c c c"]
    assert (found["blackbox_ranking"], found["whitebox_ranking"]) == ([2, 1, 0], [0, 1, 2])
    assert not whitebox.asked
    assert [one.calls for one in CYCLE.asks_of(CYCLE.params(n=0, extra=3))] == [(0, 3), (0, 2)]
