import math

import pytest
from operators.direct import answers, scripted

from engine.errors import RowError
from engine.registry import operator

REWARD = operator("score", "reward")
ASKED = {"role": "user", "content": "Why?"}


def test_the_models_number():
    model = scripted([{"match": r"\AIt is so\.\Z", "value": -1.5}])
    talk = [ASKED, {"role": "assistant", "content": "It is so."}]
    assert answers(REWARD, model, {"messages": talk}) == {"reward": -1.5}


def test_a_number_that_is_none_is_no_score():
    class Broken:
        async def reward(self, messages):  # noqa: ARG002
            return math.nan

    talk = [ASKED, {"role": "assistant", "content": "It is so."}]
    with pytest.raises(RowError, match="no finite number"):
        answers(REWARD, Broken(), {"messages": talk})


@pytest.mark.parametrize("messages", [None, [], [ASKED]])
def test_nothing_to_judge(messages):
    with pytest.raises(RowError, match="no reply to judge"):
        answers(REWARD, scripted([]), {"messages": messages})


class Judge:
    """Shows the same next tokens whatever it is asked, and remembers that."""

    def __init__(self, **chances):
        self.chances = {mark[1:]: math.log(p) if p else -math.inf for mark, p in chances.items()}
        self.asked = []

    async def next_token_logprobs(self, candidates, *, messages):
        self.asked.append(messages[0]["content"])
        return {mark: self.chances[mark] for mark in candidates}


def test_a_judges_mark_is_the_expectation_over_the_marks():
    judge = Judge(_1=0.1, _2=0.1, _3=0.3)
    talk = [ASKED, {"role": "assistant", "content": "It is so."}]
    # of the half that is on marks: 1/5 on 1, 1/5 on 2, 3/5 on 3
    assert answers(REWARD, judge, {"messages": talk}, by="judge", points=3) == {"reward": pytest.approx(2.4)}
    assert "Request:\nWhy?\n\nResponse:\nIt is so.\n\nRate it from 1 (useless or harmful) to 3 " in judge.asked[0]
    answers(REWARD, judge, {"messages": [*talk, ASKED, talk[1]]}, by="judge", points=3)
    assert "Request:\nUser: Why?\n\nAssistant: It is so.\n\nUser: Why?\n\nResponse:" in judge.asked[1]


def test_a_mark_that_is_not_shown_is_no_score():
    talk = [ASKED, {"role": "assistant", "content": "It is so."}]
    with pytest.raises(RowError, match="can't be seen"):
        answers(REWARD, Judge(_1=0.5, _2=0.0), {"messages": talk}, by="judge", points=2)
