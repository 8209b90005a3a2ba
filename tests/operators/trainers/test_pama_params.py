"""`train: pama` in a spec against the trainer's own configuration: names, defaults, bounds, rewards, contradictions."""

import dataclasses
import inspect

import pytest
from pydantic import ValidationError

from engine.handoff.params import handed_over
from engine.operators.trainers import _rewards
from engine.operators.trainers.pama import PamaParams, pama
from engine.schema import MESSAGES_TYPE, PROMPT_TYPE
from engine.work.reward_server import reward_command
from trainers.config import PamaConfig, from_params
from trainers.errors import HandoffError
from trainers.rewards import KINDS, Rewards

DEFAULTS = {field.name: field.default for field in dataclasses.fields(PamaConfig)}
LONG = {"use": "length", "name": "long", "scale": 140.0, "low": 0.5, "high": 1.5}
SCORED = {"name": "good", "score": "deita_quality", "model": "judge"}
BRIEF = {"name": "brief", "sql": "1 / length(response)"}
PROGRAM = {"use": "command", "names": ["a", "b"], "command": ["true"]}


def complete(folder, **given):
    """What the engine hands over."""
    return handed_over(PamaParams(**given), folder, reward_command)


def test_names_and_defaults_are_the_trainers(tmp_path):
    assert {name: field.default for name, field in PamaParams.model_fields.items()} == DEFAULTS
    handed = complete(tmp_path, rewards=[LONG])
    assert from_params(PamaConfig, handed) == PamaConfig(rewards=tuple(handed["rewards"]))
    assert pama.fn(PamaParams(rewards=[LONG])) == "trainers.pama"


@pytest.mark.parametrize(
    ("form", "kind"),
    [(_rewards.LengthReward, "length"), (_rewards.ModelReward, "model"), (_rewards.CommandReward, "command")],
)
def test_the_trainers_own_rewards_take_what_theirs_take(form, kind):
    theirs = {name: p.default for name, p in inspect.signature(KINDS[kind]).parameters.items()}
    ours = {
        name: inspect.Parameter.empty if field.is_required() else field.default
        for name, field in form.model_fields.items()
        if name != "use"
    }
    assert ours == theirs


def test_rewards_keep_their_order_and_those_of_the_build_come_by_commands(tmp_path):
    handed = complete(tmp_path, rewards=[SCORED, BRIEF, LONG, PROGRAM, {**SCORED, "name": "better"}])
    assert Rewards(handed["rewards"]).names == ("good", "brief", "long", "a", "b", "better")
    assert [reward["use"] for reward in handed["rewards"]] == ["command", "length", "command", "command"]
    assert handed["rewards"][0]["command"][1:] == ["-P", "-m", "engine.work.reward_bridge", "good", "brief"]


def test_what_the_loader_resolves_and_what_only_costs_time_is_no_part_of_the_params_identity():
    classifier = {"use": "model", "name": "kind", "model": "some/where", "batch_size": 3}
    dumped = PamaParams(rewards=[SCORED, BRIEF, classifier]).model_dump(mode="json")
    assert dumped["rewards"][0] == {"name": "good", "column": None}
    assert dumped["rewards"][1] == BRIEF
    assert dumped["rewards"][2].keys().isdisjoint({"model", "revision", "batch_size"})
    assert DEFAULTS.keys() - dumped.keys() >= {"rollout_batch_size", "micro_batch_size", "dead_steps"}


def test_a_prompt_is_a_text_or_messages_or_a_conversation():
    reads = pama.reads_of(PamaParams(rewards=[LONG]))
    assert {name: column.type for name, column in reads.items()} == {"prompt": PROMPT_TYPE, "messages": MESSAGES_TYPE}


TWO = [LONG, {**LONG, "name": "longer"}]


@pytest.mark.parametrize(
    "given",
    [
        {"method": "fixed_weights", "weights": (0.25, 0.75)},
        {"method": "single", "objective": "longer", "noon": False},
        {"granularity": "vector", "whiten": False, "ratio_base": "ref", "clip": 0.1},
        {"method": "mgda_ub", "kl_coefficient": 0.0, "gamma": 0.9, "ppo_epochs": 2, "bad_rewards": "drop"},
    ],
)
def test_both_take_the_same(tmp_path, given):
    handed = complete(tmp_path, rewards=TWO, **given)
    assert from_params(PamaConfig, handed) == PamaConfig(rewards=tuple(handed["rewards"]), **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rewards": []}, "rewards: name one at least"),
        ({"max_new_tokens": 2048}, "max_new_tokens: must be below max_length, 2048"),
        ({"method": "mgda", "granularity": "batch"}, "granularity: means nothing to method: mgda"),
        ({"weights": (0.5, 0.5)}, "weights: mean nothing to method: pama"),
        ({"method": "fixed_weights", "weights": (0.5, 0.6)}, "weights: must be 1 in sum, found 1.1"),
        ({"method": "single"}, "objective: method: single needs the name of a reward: long, longer"),
        ({"objective": "long"}, "objective: means nothing to method: pama"),
        ({"clip": 0.0}, "clip"),
        ({"gae_lambda": 1.5}, "gae_lambda"),
        ({"ppo_epochs": 0}, "ppo_epochs"),
        ({"temperature": 0.0}, "temperature"),
        ({"kl_coefficient": -0.1}, "kl_coefficient"),
    ],
)
def test_both_refuse_the_same(given, said):
    given = {"rewards": TWO, **given}
    with pytest.raises(ValidationError, match=said):
        PamaParams(**given)
    with pytest.raises(HandoffError):
        from_params(PamaConfig, given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rewards": [LONG, LONG]}, "more than one is called long"),
        ({"rewards": TWO, "method": "fixed_weights", "weights": (1.0,)}, "1 for 2 rewards"),
        ({"rewards": TWO, "method": "single", "objective": "short"}, "needs the name of a reward"),
        ({"rewards": [{**LONG, "low": 2.0}]}, "low: 2 must be below high: 1.5"),
        ({"rewards": [{"use": "lengths"}]}, "'length', 'model' or 'command'"),
        ({"rewards": [{"name": "x"}]}, "has one of: use, score, sql"),
    ],
)
def test_what_the_trainer_would_find_later_is_found_in_the_spec(given, said):
    with pytest.raises(ValidationError, match=said):
        PamaParams(**given)
