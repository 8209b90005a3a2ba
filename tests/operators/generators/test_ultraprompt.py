"""Whole searches: calls, intent, failures, resume. The tree's rules: `test_ultraprompt_tree`; forms: `..._forms`."""

import math
from collections import Counter

import numpy as np
import pytest
from operators.searching import PATHS, SEARCH, Models, search

from engine.errors import ModelError
from engine.request import Answer


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


@pytest.mark.parametrize("seed", range(8))
def test_no_tree_asks_more_than_the_plan_says(seed):
    """Rewrites and rewards that fail by chance, from now and then to nearly always."""
    rng = np.random.default_rng(seed)
    often = 0.02 * 2**seed if seed < 6 else 0.97
    models = Models(
        lambda _: math.nan if rng.random() < often / 3 else 0.5,
        lambda asked, _: Answer(text="" if rng.random() < often else asked, finish_reason="stop"),
    )
    rows = search(models)
    rewriter, responder, reward = (asks.calls for asks in SEARCH.asks_of(SEARCH.params()))
    assert (rewriter[0], responder[0], reward[0]) == (20, 63, 63)
    counts = len(models.rewrites), len(models.answered), len(models.judged)
    assert all(count <= most for count, (_, most) in zip(counts, (rewriter, responder, reward), strict=True))
    if rows[0]["is_success"]:
        assert all(count >= least for count, (least, _) in zip(counts, (rewriter, responder, reward), strict=True))
    failed = [failure for failure in rows[0]["failures"] if failure["iteration"] is not None]
    assert len(failed) <= 9
    assert (len(failed) == 9) == (rows[0]["next_iter"] < 20)
