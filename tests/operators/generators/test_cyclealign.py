"""One cycle on a toy white box: answers, both rankings, labels, and bad input."""

import math
from itertools import pairwise

import pyarrow as pa
import pytest
from operators.talker import in_turn
from operators.toy_box import CYCLE, ToyBox, best_first, cycle
from pydantic import ValidationError

from engine.errors import ModelError, RowError
from engine.request import Answer


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


def test_nothing_to_answer():
    with pytest.raises(RowError, match="no prompt"):
        cycle(["a", "b"], best_first(len), row={"prompt": ""})


def test_draws_are_distinct_and_the_row_is_the_same_every_time():
    whitebox, blackbox = ToyBox(["a", "b", "c"]), in_turn("?")
    one = cycle(["", "", ""], blackbox, whitebox=whitebox)
    assert len({call.draw for call in [*whitebox.asked, *blackbox.asked]}) == 5
    assert one == cycle(["", "", ""], in_turn("?"), whitebox=ToyBox(["a", "b", "c"]))
    orders = {tuple(cycle(["a", "b", "c"], in_turn("?"), seed=seed)["label_order"]) for seed in range(20)}
    assert len(orders) > 3


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
