"""The forms that a search takes: categories, prompts, ratings, trained rewriters, and the params that say so."""

import math

import pytest
from operators.searching import BARE, SEARCH, Models, search

from engine.errors import RowError
from engine.operators.generators._ultraprompt_principles import PRINCIPLES, active
from engine.request import Answer, Capability


@pytest.mark.parametrize(
    ("category", "names"),
    [
        ("Math", 5), ("Harmlessness", 5), ("Honesty", 4), ("Coding & Debugging", 5), ("Helpfulness", 3), ("Poetry", 3),
        (None, 3),
    ],
)  # fmt: skip
def test_a_category_has_its_own_principles_and_the_general_ones(category, names):
    found = active(category, PRINCIPLES, "Helpfulness")
    assert len(found) == names
    assert list(found)[-3:] == ["Clarification Request", "Information Augmentation", "Tone Improvement"]
    rows = search(row={"category": category}, principles={c: dict(p) for c, p in PRINCIPLES.items()}, iterations=names)
    assert {row["action"] for row in rows} == {"root", *found}  # the first nodes below the root use each once


def test_the_prompts_that_are_shipped():
    models = Models()
    search(models, prompts={}, iterations=1, row={"category": None})
    ((system, user, _, sampling),) = models.rewrites
    assert "without changing what they want" in system
    assert "[raw]" in user
    assert any(sentence in user for sentence in ("c.", "m.", "k."))
    assert (sampling.temperature, sampling.max_tokens) == (None, 4096)
    prompt, _, drawn = models.answered[0]
    assert prompt.splitlines()[0::2] == ["[System]", "[User]", "[Assistant]"]
    assert prompt.endswith("[User]\nraw\n[Assistant]\n")
    assert (drawn.temperature, drawn.max_tokens, drawn.stop) == (1.0, 1024, ("[System]", "[User]", "[Assistant]"))


def test_a_trained_rewriter_writes_between_marker_lines():
    replies = [
        "--- prompt begins ---\nBetter.\n--- prompt ends ---",
        "Better without lines",
        "Sure:\n--- prompt begins ---\nBest.\n--- prompt ends ---\nDone.",
    ]
    models = Models(rewrite_of=lambda _, n: Answer(text=replies[n - 1], finish_reason="stop"))
    rows = search(models, prompts={}, mode="offline", iterations=2)
    assert [row["instruction"] for row in rows] == ["raw", "Better.", "Best."]
    assert rows[0]["failures"] == [{"iteration": 1, "reason": "the rewrite is not between the marker lines"}]
    assert "--- prompt begins ---\nraw\n--- prompt ends ---" in models.rewrites[0][1]


def test_a_rating_is_the_expectation_over_its_points():
    class Rater(Models):
        async def next_token_logprobs(self, candidates, *, messages):
            self.judged.append(messages)
            hidden = "#7" in messages[0]["content"]
            return dict(zip(candidates, [math.log(0.5), -math.inf if hidden else math.log(0.5), -100.0], strict=True))

    rater = Rater()
    rows = search(rater, reward="rating", points=3, prompts={**BARE, "rate": "{instruction}|{response}"})
    assert rows[0]["local_rewards"] == pytest.approx([1.5] * 3)
    assert {talk[0]["content"].split("|")[0] for talk in rater.judged} == {"raw"}
    assert {failure["reason"] for failure in rows[0]["failures"]} <= {
        "a point of the rating can't be seen among the next tokens"
    }


def test_models_by_the_form_of_responder_and_reward():
    def needs(**params):
        return {role: set(given.needs) for role, given in SEARCH.roles_of(SEARCH.params(**params)).items()}

    chat = {Capability.CHAT}
    assert needs() == {"rewriter": chat, "responder": {Capability.GENERATE}, "reward": {Capability.REWARD}}
    assert needs(responder_form="chat", reward="rating") == {
        "rewriter": chat, "responder": chat, "reward": {Capability.NEXT_TOKEN_LOGPROBS},
    }  # fmt: skip


@pytest.mark.parametrize(
    "given", ["Why?", [{"role": r, "content": c} for r, c in (("system", "s"), ("user", "Why?"), ("user", "x"))]]
)
def test_the_instruction_is_a_text_or_the_first_user_turn(given):
    rows = search(row={"instruction": given, "meta": "m1"}, iterations=1)
    assert {(row["raw_instruction"], row["meta"]) for row in rows} == {("Why?", "m1")}


@pytest.mark.parametrize("given", [None, "", " \n", [], [{"role": "assistant", "content": "x"}]])
def test_rows_without_an_instruction(given):
    with pytest.raises(RowError, match="no instruction"):
        search(row={"instruction": given})


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"general": "Kindness"}, "no category Kindness"),
        ({"principles": {"Helpfulness": {}}}, "no category Helpfulness with"),
        ({"response_temperature": 0.0}, "are copies"),
        ({"prompts": {"rewrite": "{instruction}"}}, "needs {principle}"),
    ],
)
def test_params_that_contradict_themselves(params, why):
    with pytest.raises(ValueError, match=why):
        SEARCH.params(**params)
