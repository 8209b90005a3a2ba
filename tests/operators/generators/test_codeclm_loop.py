"""The loop of one instruction: rewrites, answers, verdicts in both orders, and how it ends."""

from collections import Counter
from itertools import pairwise

import pytest
from operators.codeclm_models import ACTIONS, JUDGE, LOOP, World, constant, hard_from
from operators.talker import Talker, in_turn
from pydantic import ValidationError


def test_a_better_strong_answer_is_accepted_at_once():
    world = World(constant(9, 5))
    row = world.run()
    assert (row["status"], row["iteration"], row["response"]) == ("accepted_strong", 1, "strong: Make tea.")
    assert (row["strong_score"], row["target_score"], row["quality_gap"]) == (9, 5, 4)
    assert row["judge_raw"] == ["9 5", "5 9"]
    assert (row["response_source"], row["action_history"], row["reason"]) == ("strong", [], None)
    assert row["messages"] == [
        {"role": "user", "content": "Make tea."}, {"role": "assistant", "content": "strong: Make tea."},
    ]  # fmt: skip
    assert [row[name] for name in ("metadata_id", "use_case", "skills")] == ["m1", "tea", ["brewing"]]
    assert world.calls == (0, 1, 1, 2)


def test_a_better_target_answer_is_accepted_as_the_targets():
    world = World(constant(4, 9))
    row = world.run()
    assert (row["status"], row["quality_gap"], row["response_source"]) == ("accepted_target", -5, "target")
    assert row["response"] == row["target_response"] == row["messages"][1]["content"] == "target: Make tea."
    assert row["strong_response"] == "strong: Make tea."
    assert world.calls == (0, 1, 1, 2)


@pytest.mark.parametrize("scores", [(8, 5), (5, 8), (5, 5)])
def test_a_gap_of_theta_is_not_enough(scores):
    world = World(constant(*scores))
    row = world.run()
    assert (row["status"], row["iteration"]) == ("exhausted", 4)
    assert (row["response"], row["messages"], row["response_source"], row["finish_reason"]) == (None,) * 4
    assert row["reason"] == "the gap is within 3 in all 4 iterations"
    assert world.calls == (3, 4, 4, 8)


def test_the_gap_is_the_mean_of_both_orders():
    replies = {0: "9 5", 1: "6 8"}  # 4 and 2: 3 in the mean, and half a mark more is enough
    for second, status in (("6 8", "exhausted"), ("6 9", "accepted_strong")):
        replies[1] = second
        judge = Talker(lambda prompt, _: replies[int(JUDGE.search(prompt)[2].startswith("target"))])
        row = World(judge).run(max_iterations=1)
        assert (row["status"], row["quality_gap"]) == (status, 3 if second == "6 8" else 3.5)


@pytest.mark.parametrize("scores", [(8, 4), (4, 8), (7, 4), (7.5, 4), (5, 5), (4, 7)])
def test_a_judge_that_prefers_the_first_answer_changes_no_decision(scores):
    fair = constant(*scores)

    def biased(prompt, draw):
        first, second = map(float, fair.say(prompt, draw).split())
        return f"{first + 2:g} {second:g}"

    rows = [World(judge).run() for judge in (fair, Talker(biased))]
    for name in ("status", "iteration", "response", "quality_gap", "action_history"):
        assert rows[0][name] == rows[1][name]


def test_a_judge_that_always_says_the_same_accepts_nothing():
    assert World(in_turn("10 1")).run()["status"] == "exhausted"


def test_instructions_are_hardened_until_the_target_fails():
    world = World(hard_from(2))
    row = world.run()
    assert (row["status"], row["iteration"], row["quality_gap"]) == ("accepted_strong", 3, 5)
    assert len({call.prompt for call in world.rewrites}) == len({call.draw for call in world.rewrites}) == 2
    first, second = row["action_history"]
    assert row["instruction"] == f"Make tea. [{first}] [{second}]"
    assert row["basic_instruction"] == "Make tea."
    assert row["response"] == f"strong: {row['instruction']}"
    assert world.calls == (2, 3, 3, 6)
    assert [done["instruction"].count("[") for done in row["history"]] == [0, 1, 2]
    assert [done["action"] for done in row["history"]] == [None, first, second]
    assert [done["quality_gap"] for done in row["history"]] == [0, 0, 5]


def test_never_more_than_four_iterations():
    for complexity, status in ((3, "accepted_strong"), (4, "exhausted")):
        world = World(hard_from(complexity))
        row = world.run()
        assert (row["status"], row["iteration"], len(row["history"])) == (status, 4, 4)
    assert World(hard_from(4)).run(max_iterations=5)["status"] == "accepted_strong"


def test_one_action_of_the_row_is_drawn_for_a_rewrite_and_each_as_often():
    drawn = []
    for i in range(400):
        world = World(hard_from(1))
        (action,) = world.run(row_id=f"r{i}")["action_history"]
        assert sum(other in world.rewrites[0].prompt for other in ACTIONS) == 1
        drawn.append(action)
    counts = Counter(drawn)
    assert set(counts) == set(ACTIONS)
    assert all(60 <= n <= 140 for n in counts.values()), counts


def test_the_actions_of_one_row_are_drawn_anew_in_every_iteration():
    histories = [World(hard_from(3)).run(row_id=f"r{i}")["action_history"] for i in range(200)]
    repeats = sum(a == b for history in histories for a, b in pairwise(history))
    assert 60 <= repeats <= 140  # one in four of 400


def test_a_seeded_run_repeats_exactly():
    one, same, other = (World(hard_from(3)) for _ in range(3))
    assert one.run() == same.run()
    other.run(seed=18)
    draws = [[(call.prompt, call.draw) for call in world.strong.asked] for world in (one, same, other)]
    assert draws[0] == draws[1] != draws[2]


def test_every_call_of_a_loop_has_its_own_draw():
    world = World(constant(5, 5))
    world.run()
    drawn = [call.draw for model in (world.strong, world.target, world.judge) for call in model.asked]
    assert len(set(drawn)) == len(drawn) == 3 + 4 + 4 + 8


@pytest.mark.parametrize("accepted", [1, 2, 3, 4, 5])
def test_calls_by_the_formula(accepted):
    """An iteration is one answer of both models and two verdicts, and from the second on a rewrite."""
    world = World(hard_from(accepted - 1))
    n = min(accepted, 4)
    assert world.run()["iteration"] == n
    assert world.calls == (n - 1, n, n, 2 * n)
    bounds = Counter()
    for asks in LOOP.asks_of(LOOP.params()):
        bounds[asks.role, 0] += asks.calls[0]
        bounds[asks.role, 1] += asks.calls[1]
    for role in ("strong", "target", "judge"):
        assert bounds[role, 0] <= len(getattr(world, role).asked) <= bounds[role, 1]


def test_without_the_filter_all_are_kept_after_the_same_number_of_rewrites():
    for iterations in (1, 3):
        world = World(None)
        row = world.run(filter=False, max_iterations=iterations)
        assert (row["status"], row["iteration"], row["quality_gap"]) == ("accepted_strong", iterations, None)
        assert row["instruction"].count("[") == len(row["action_history"]) == iterations - 1
        assert row["response"] == f"strong: {row['instruction']}"
        assert [done["strong_response"] for done in row["history"]] == [None] * (iterations - 1) + [row["response"]]
        assert (len(world.rewrites), len(world.strong.asked), world.target.asked) == (iterations - 1, iterations, [])
    assert LOOP.roles_of(LOOP.params(filter=False)).keys() == {"strong"}
    low, high = zip(*[asks.calls for asks in LOOP.asks_of(LOOP.params(filter=False))], strict=True)
    assert (sum(low), sum(high)) == (4, 7)


def test_the_judge_is_the_strong_model_unless_another_is_named():
    roles = LOOP.roles_of(LOOP.params())
    assert (roles["judge"].default, roles["strong"].default, roles["target"].default) == ("strong", None, None)


def test_how_answers_and_verdicts_are_drawn():
    world = World(in_turn("well", "9 5"))
    world.run(max_tokens=1024, max_iterations=1)
    assert {(c.sampling.temperature, c.sampling.max_tokens) for c in world.strong.asked + world.target.asked} == {
        (0.7, 1024)
    }
    # A greedy judge that is asked again would only repeat itself.
    assert sorted(call.sampling.temperature for call in world.judge.asked) == [0, 0, 0.7]


@pytest.mark.parametrize(
    "wrong",
    [
        {"theta": -1}, {"max_iterations": 0}, {"judge_scale": 1}, {"retries": 10}, {"temperature": 0.0},
        {"prompts": {"rewrite": "Improve {instruction}"}}, {"prompts": {"judge": "{first} or {second}?"}},
    ],
)  # fmt: skip
def test_wrong_parameters(wrong):
    with pytest.raises(ValidationError):
        LOOP.params(**wrong)


def test_prompts_may_be_replaced():
    world = World(in_turn("5 1"))
    row = world.run(judge_scale=5, prompts={"judge": "1 to {scale}: {instruction}/{first}/{second}"})
    assert row["quality_gap"] == 0
    assert world.judge.asked[0].prompt == "1 to 5: Make tea./strong: Make tea./target: Make tea."
