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
