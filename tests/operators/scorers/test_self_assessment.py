import pytest
from operators.direct import answers, scripted

from engine.draws import draw
from engine.errors import RowError
from engine.operators.scorers.self_assessment import read_score
from engine.registry import operator

ASSESS = operator("score", "self_assessment")
ROW = {"instruction": "Sort them.", "input": "b a", "response": "a b"}


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        (" 9||good", 9),
        ("**8.6** because", 9),
        ("Score 7", None),
        ("11||x", None),
        ("7.4||", 7),
        ("10", 10),
        ("Score: 7||it is fine", 7),
        ("Score: 12||no", None),
        ("0.4||", None),
        ("1/10", 1),
        ("", None),
        ("I can't say||7", None),
        ("很好", None),
        ("9" * 400, None),
    ],
)
def test_scores_are_read_as_the_paper_reads_them(reply, score):
    assert read_score(reply) == score


def judge(quality, following):
    return scripted([{"match": "quality of the response", "reply": quality}, {"match": "follows", "reply": following}])


def test_quality_first_then_following():
    model = judge("9||right", "10||it does")
    assert answers(ASSESS, model, ROW) == {
        "quality_score": 9, "quality_raw": "9||right", "following_score": 10, "following_raw": "10||it does",
        "unscored": None,
    }  # fmt: skip
    first, second = model.prompts
    assert "Instruction: Sort them. b a\nResponse: a b\n" in first.prompt
    assert (first.draw, second.draw) == (draw(17, "r0", 0), draw(17, "r0", 1))
    assert (first.sampling.temperature, first.sampling.top_p, first.sampling.max_tokens) == (1.0, 0.95, 1000)


def test_a_row_without_a_first_mark_is_not_asked_for_its_second():
    model = judge("I would say it is fine", "10||")
    assert answers(ASSESS, model, ROW) == {
        "quality_score": None, "quality_raw": "I would say it is fine", "following_score": None, "following_raw": None,
        "unscored": "quality",
    }  # fmt: skip
    assert len(model.prompts) == 1
    assert answers(ASSESS, judge("9||", "who knows"), ROW)["unscored"] == "following"


@pytest.mark.parametrize("level", ["quality", "following"])
def test_one_level_alone(level):
    model = judge("3||", "4||")
    found = answers(ASSESS, model, ROW, level=level)
    assert found == {f"{level}_score": {"quality": 3, "following": 4}[level], f"{level}_raw": found[f"{level}_raw"],
                     "unscored": None}  # fmt: skip
    assert set(found) == set(ASSESS.writes_of(ASSESS.params(level=level), None))
    assert len(model.prompts) == 1


@pytest.mark.parametrize("variant", ["simple", "combined", "icl"])
def test_every_variant_has_prompts_of_its_own(variant):
    model = judge("9||", "9||")
    answers(ASSESS, model, ROW, variant=variant)
    shown = [("succinct" in asked.prompt, "Score: 6||" in asked.prompt) for asked in model.prompts]
    assert shown[0] == (variant == "combined", variant == "icl")
    assert ("format, or the" in model.prompts[1].prompt) == (variant == "combined")


def test_a_prompt_of_ones_own_and_a_chat():
    model = scripted([], default="9||")
    answers(ASSESS, model, ROW, form="chat", level="quality", prompts={"quality_combined": "{instruction}/{response}?"})
    assert model.chats[0].messages == ({"role": "user", "content": "Sort them. b a/a b?"},)


def test_the_plan_knows_that_the_second_call_may_not_come():
    calls = [asks.calls for asks in ASSESS.asks_of(ASSESS.params())]
    assert calls == [(1, 1), (0, 1)]
    assert [asks.calls for asks in ASSESS.asks_of(ASSESS.params(level="following"))] == [(1, 1)]


@pytest.mark.parametrize("field", ["instruction", "response"])
def test_nothing_to_judge(field):
    with pytest.raises(RowError, match="null or empty"):
        answers(ASSESS, judge("9", "9"), ROW | {field: None})
