"""Parameters of fine-tuning: what is accepted, what is refused and how."""

from __future__ import annotations

import json

import pytest

from trainers.config import SftConfig, from_params, to_params
from trainers.errors import HandoffError


def test_nothing_given_is_all_defaults():
    assert from_params(SftConfig, {}) == SftConfig()


def test_defaults_survive_json():
    assert from_params(SftConfig, json.loads(json.dumps(to_params(SftConfig())))) == SftConfig()


def test_values_take_the_types_of_the_fields():
    config = from_params(SftConfig, {"epochs": 2, "betas": [0.9, 0.95], "lora_targets": ["q_proj"], "lora_rank": 4})
    assert (config.epochs, config.betas, config.lora_targets) == (2.0, (0.9, 0.95), ("q_proj",))
    assert isinstance(config.epochs, float)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"epoch": 1}, "params has epoch"),
        ({"epochs": "two"}, "params.epochs is 'two': it must be a number"),
        ({"epochs": None}, "params.epochs is None: it must be a number"),
        ({"epochs": 0}, "params.epochs is 0.0: it must be above 0"),
        ({"batch_size": True}, "params.batch_size is True: it must be a whole number"),
        ({"batch_size": 1.5}, "params.batch_size is 1.5: it must be a whole number"),
        ({"batch_size": 0}, "params.batch_size is 0: it must be at least 1"),
        ({"betas": [0.9]}, "params.betas is [0.9]: it must be a list of 2 numbers"),
        ({"betas": [0.9, 1.0]}, "it must be at least 0 and below 1"),
        ({"warmup": 1.0}, "params.warmup is 1.0: it must be at least 0 and below 1"),
        ({"packing": 1}, "params.packing is 1: it must be true or false"),
        ({"schedule": "step"}, "params.schedule is 'step': it must be cosine or linear or constant"),
        ({"lora_targets": "q_proj"}, "params.lora_targets is 'q_proj': it must be a list of texts or null"),
        ({"max_length": 1}, "params.max_length is 1: it must be at least 2"),
        ({"learning_rate": float("nan")}, "params.learning_rate is nan: it must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(params, said):
    with pytest.raises(HandoffError) as refusal:
        from_params(SftConfig, params)
    assert said in str(refusal.value)
