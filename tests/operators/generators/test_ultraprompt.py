"""The whole operator with models that write down what they are asked; the tree's rules: `test_ultraprompt_tree`."""

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from operators.fakes import FakeContext

from engine.errors import ModelError, RowError
from engine.operators.generators._ultraprompt_principles import PRINCIPLES, active
from engine.registry import operator
from engine.request import Answer, Capability

SEARCH = operator("generate", "ultraprompt")
BARE = {"rewrite": "{instruction}>{principle}", "answer": "{instruction}"}
"""Prompts of the texts alone, so that a rewriter that repeats its prompt writes the path of principles."""
PATHS = {"Helpfulness": {"Clear": "c", "More": "m", "Kind": "k"}, "Math": {"Hint": "h", "Check": "v"}}


@dataclass
class Models:
    """Three models in one: a rewrite repeats its prompt, an answer its instruction with the draw's last digits."""

    reward_of: object = lambda response: len(response) % 7 / 7
    rewrite_of: object = lambda asked, number: Answer(text=asked, finish_reason="stop")  # noqa: ARG005
    rewrites: list = field(default_factory=list)  # (system, user, draw, sampling)
    answered: list = field(default_factory=list)  # (prompt, draw, sampling)
    judged: list = field(default_factory=list)  # messages

    async def chat(self, messages, *, draw, sampling):
        system, user = messages
        self.rewrites.append((system["content"], user["content"], draw, sampling))
        return given(self.rewrite_of(user["content"], len(self.rewrites)))

    async def generate(self, prompt, *, draw, sampling):
        self.answered.append((prompt, draw, sampling))
        await asyncio.sleep(0)
        return Answer(text=f"{prompt}#{draw % 1000}", finish_reason="stop")

    async def reward(self, messages):
        self.judged.append(messages)
        return given(self.reward_of(messages[-1]["content"]))


def given(outcome):
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def search(models=None, row=None, *, seed=17, **params):
    models = models or Models()
    params = {"prompts": BARE, "principles": PATHS, **params}
    params["prompts"] = SEARCH.params.model_fields["prompts"].annotation(**params["prompts"])
    context = FakeContext(seed, models=dict.fromkeys(("rewriter", "responder", "reward"), models))
    row = {"row_id": "r0", "instruction": "raw", "category": "Math", **(row or {})}
    rows = asyncio.run(SEARCH.fn(row, SEARCH.params(**params), context))
    pa.Table.from_pylist(rows, schema=pa.schema(SEARCH.writes_of(None, None)))
    return rows


def shape(rows):
    return [(row["instruction"], row["actions"], row["local_rewards"]) for row in rows]


def test_twenty_iterations_make_twenty_one_nodes_and_no_more_calls_than_that():
    models = Models()
    rows = search(models)
    assert (len(models.rewrites), len(models.answered), len(models.judged)) == (20, 63, 63)
    assert [row["index"] for row in rows] == list(range(21))
    assert {row["node_id"]: row["node_parent"] for row in rows}["r0/0"] is None
    assert all(row["is_success"] and row["next_iter"] == row["max_iter"] == 20 for row in rows)
    assert rows[0]["visits"] == sum(row["visits"] for row in rows if row["node_parent"] == "r0/0") == 20
    assert all(row["local_avg_reward"] == pytest.approx(sum(row["local_rewards"]) / 3) for row in rows)
    assert rows[0]["backed_up_reward"] == max(row["local_avg_reward"] for row in rows)
    for parent in rows:
        actions = [row["action"] for row in rows if row["node_parent"] == parent["node_id"]]
        assert len(set(actions)) == len(actions) <= 5
        if actions and parent["depth"]:
            siblings = [row for row in rows if row["node_parent"] == parent["node_parent"]]
            assert len(siblings) == 5


def test_the_responder_sees_the_rewrite_and_the_judge_the_raw_instruction():
    models = Models()
    rows = search(models)
    assert Counter(prompt for prompt, *_ in models.answered) == Counter(
        r["instruction"] for r in rows for _ in range(3)
    )
    assert {tuple(turn["role"] for turn in talk) for talk in models.judged} == {("user", "assistant")}
    assert {talk[0]["content"] for talk in models.judged} == {"raw"}
    answers = Counter(talk[1]["content"] for talk in models.judged)
    assert answers == Counter(response for row in rows for response in row["local_responses"])
    for row in rows:  # the path of sentences is in the text, that of names in the row
        assert row["instruction"] == ">".join(
            ["raw", *[(PATHS["Math"] | PATHS["Helpfulness"])[a] for a in row["actions"]]]
        )
    assert len({draw for _, draw, _ in models.answered}) == 63


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


def test_a_reward_model_that_fails_in_iteration_seven_leaves_seven_nodes():
    """Ended there with `keep`; with `fail` the row is an error, and the next build's tree is that of a whole run."""
    whole, seen = search(Models()), []

    def failing(response):
        text = response.partition("#")[0]
        seen.extend([text] if text not in ("raw", *seen) else [])
        return ModelError("out of memory") if text in seen[7:] else len(response) % 7 / 7

    rows = search(Models(failing), on_failure="keep")
    assert len(rows) == 8
    assert {(row["next_iter"], row["is_success"]) for row in rows} == {(7, False)}
    assert rows[0]["failures"] == [{"iteration": 7, "reason": "out of memory"}]
    assert shape(rows) == shape(whole[:8])
    seen.clear()
    with pytest.raises(ModelError, match="out of memory"):
        search(Models(failing))
    assert shape(search(Models())) == shape(whole)
    assert shape(search(Models(), seed=18)) != shape(whole)


def test_rewards_that_are_no_numbers_are_counted_and_end_a_tree_that_has_no_others():
    models = Models(lambda response: math.nan if ">" in response else 0.5)
    rows = search(models)
    assert len(rows) == 1
    assert rows[0]["failures"] == [{"iteration": 0, "reason": "a reward is not a finite number"}] * 9
    assert (rows[0]["is_success"], rows[0]["next_iter"]) == (False, 0)
    assert rows[0]["local_rewards"] == [0.5] * 3
    assert len(models.rewrites) == 9

    rows = search(Models(lambda response: math.inf if response.startswith("raw#") else 0.5))
    assert len(rows) == 21
    assert {(row["is_success"], row["next_iter"]) for row in rows} == {(False, 20)}
    assert rows[0]["failures"] == [{"iteration": None, "reason": "a reward is not a finite number"}] * 4


def test_some_failures_cost_no_iteration():
    """Two rewrites come empty and one is cut off; the tree is whole, and every iteration has its node."""
    bad = {3: "", 4: " \n", 9: None}
    models = Models(rewrite_of=lambda asked, n: bad_or(bad, asked, n))
    rows = search(models)
    assert (len(rows), rows[0]["is_success"], len(models.rewrites)) == (21, True, 23)
    empty = {"iteration": 2, "reason": "the rewrite is empty"}
    assert rows[0]["failures"] == [empty, empty, {"iteration": 6, "reason": "the rewrite is cut off"}]


def bad_or(bad, asked, n):
    if n not in bad:
        return Answer(text=asked, finish_reason="stop")
    return Answer(text="on and on" if bad[n] is None else bad[n], finish_reason="length" if bad[n] is None else "stop")


def test_four_tries_of_a_rewriting_and_then_another_principle():
    models = Models(rewrite_of=lambda asked, n: Answer(text="" if n <= 5 else asked, finish_reason="stop"))
    rows = search(models, row={"category": None}, iterations=3)
    asked = [user for _, user, *_ in models.rewrites]
    assert len(set(asked[:4])) == 1
    assert (len(rows), len(asked), rows[0]["is_success"]) == (4, 8, True)
    assert len({draw for *_, draw, _ in models.rewrites}) == 8


@pytest.mark.parametrize("limit", [0, 2, 8])
def test_a_rewriter_that_says_nothing_ends_the_tree(limit):
    models = Models(rewrite_of=lambda *_: Answer(text="", finish_reason="stop"))
    rows = search(models, max_failures=limit)
    assert (len(rows), len(models.rewrites), len(rows[0]["failures"])) == (1, limit + 1, limit + 1)


def test_a_refused_rewrite_is_that_texts_failure_and_a_silent_server_the_rows():
    refusing = Models(rewrite_of=lambda asked, n: ModelError("filtered", status=400) if n == 1 else Answer(text=asked))
    rows = search(refusing)
    assert rows[0]["is_success"]
    assert rows[0]["failures"] == [{"iteration": 0, "reason": "refused: filtered"}]
    silent = Models(rewrite_of=lambda asked, n: ModelError("no answer") if n == 1 else Answer(text=asked))
    with pytest.raises(ModelError, match="no answer"):
        search(silent)
    assert len(silent.judged) == 3  # the root's, which had begun


def test_an_echo_is_kept_and_flagged_or_asked_for_again_or_dropped():
    def echo(asked, n):
        return Answer(text="raw" if n % 2 else asked, finish_reason="stop")

    kept, again, dropped = (search(Models(rewrite_of=echo), duplicates=way) for way in ("keep", "retry", "drop"))
    assert sum(row["duplicate"] for row in kept) >= 10
    assert len(kept) == 21
    assert not any(row["duplicate"] for row in again + dropped)
    assert {failure["reason"] for failure in again[0]["failures"]} == {"the rewrite is a duplicate"}
    assert dropped[0]["next_iter"] == 20
    assert len(dropped) + len(dropped[0]["failures"]) == 21


def test_a_constant_reward_is_a_whole_tree():
    rows = search(Models(lambda _: 0.25))
    assert len(rows) == 21
    assert {row["local_avg_reward"] for row in rows} == {row["backed_up_reward"] for row in rows} == {0.25}


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
