"""`train: rank` in a spec against the trainer's own configuration: names, defaults, bounds and contradictions."""

import dataclasses

import pyarrow as pa
import pytest
from pydantic import ValidationError

from engine.operators.trainers._run import RunParams
from engine.operators.trainers.rank import RankParams, rank
from engine.schema import MESSAGES
from trainers.config import RankConfig, from_params
from trainers.errors import HandoffError

DEFAULTS = {field.name: field.default for field in dataclasses.fields(RankConfig)}


def complete(**given):
    """What the engine hands over."""
    params = RankParams(**given)
    return {name: getattr(params, name) for name in RankParams.model_fields}


def test_names_and_defaults_are_the_trainers():
    assert {name: field.default for name, field in RankParams.model_fields.items()} == DEFAULTS
    assert from_params(RankConfig, complete()) == RankConfig()


@pytest.mark.parametrize(
    "given",
    [
        {"rank_weight": 100.0, "length_exponent": 0.5},
        {"loss": "pro", "sft_weight": 0.45, "reward_gaps": True, "bad_rows": "drop"},
        {"sft_weight": 0.0, "over_long": "truncate_prompt", "lora_rank": 4},
    ],
)
def test_both_take_the_same(given):
    assert from_params(RankConfig, complete(**given)) == RankConfig(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"loss": "ppo"}, "loss"),
        ({"rank_weight": -1.0}, "rank_weight"),
        ({"sft_weight": -0.1}, "sft_weight"),
        ({"length_exponent": -1.0}, "length_exponent"),
        ({"rank_weight": 0.0, "sft_weight": 0.0}, "there is nothing to train"),
        ({"reward_gaps": True}, "reward_gaps: means nothing to loss: rrhf"),
        ({"over_long": "truncate"}, "over_long"),
        ({"bad_rows": "keep"}, "bad_rows"),
        ({"quantization": "4bit"}, "quantization"),
    ],
)
def test_both_refuse_the_same(given, said):
    with pytest.raises(ValidationError, match=said):
        RankParams(**given)
    with pytest.raises(HandoffError):
        from_params(RankConfig, given)


def test_all_that_is_said_of_rankings_is_part_of_the_identity():
    hashed = RankParams().model_dump(mode="json").keys()
    assert DEFAULTS.keys() - hashed == RunParams.model_fields.keys() - RunParams().model_dump(mode="json").keys()


def test_rewards_are_read_where_they_count():
    plain, scaled = (rank.reads_of(RankParams(loss="pro", reward_gaps=gaps)) for gaps in (False, True))
    assert list(plain) == ["prompt", "responses", "train_ranking"]
    assert list(scaled) == [*plain, "rewards"]
    assert rank.fn(RankParams()) == "trainers.rank"


@pytest.mark.parametrize(
    ("name", "fitting", "other"),
    [
        ("prompt", [pa.string(), MESSAGES], [pa.int64()]),
        ("responses", [pa.list_(pa.string()), pa.large_list(pa.large_string())], [pa.string(), MESSAGES]),
        ("train_ranking", [pa.list_(pa.int8()), pa.list_(pa.int64())], [pa.list_(pa.float32()), pa.int8()]),
        ("rewards", [pa.list_(pa.float32()), pa.list_(pa.int64())], [pa.list_(pa.string()), pa.float32()]),
    ],
)
def test_the_types_of_columns(name, fitting, other):
    column = rank.reads_of(RankParams(loss="pro", reward_gaps=True))[name].type
    assert all(column.accepts(kind) for kind in fitting)
    assert not any(column.accepts(kind) for kind in other)
