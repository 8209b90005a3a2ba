"""`train: sft` in a spec against the trainer's own configuration: the same names, defaults and bounds."""

import dataclasses

import pytest
from pydantic import ValidationError

from engine.operators.trainers.sft import SftParams, sft
from trainers.config import SftConfig, from_params
from trainers.errors import HandoffError

DEFAULTS = {field.name: field.default for field in dataclasses.fields(SftConfig)}


def complete(**given):
    """What the engine hands over."""
    params = SftParams(**given)
    return {name: getattr(params, name) for name in SftParams.model_fields}


def test_names_and_defaults_are_the_trainers():
    assert {name: field.default for name, field in SftParams.model_fields.items()} == DEFAULTS
    assert from_params(SftConfig, complete()) == SftConfig()


@pytest.mark.parametrize(
    "given",
    [
        {"epochs": 0.0}, {"warmup": 1.0}, {"betas": (0.9, 1.0)}, {"batch_size": 0}, {"max_length": 1},
        {"lora_rank": 0}, {"learning_rate": -1.0}, {"schedule": "step"}, {"save_steps": -1}, {"max_steps": 0},
        {"max_grad_norm": 0.0}, {"lora_dropout": 1.0}, {"keep_checkpoints": 0}, {"chunk_tokens": 0},
    ],
)  # fmt: skip
def test_both_refuse_the_same(given):
    with pytest.raises(ValidationError):
        SftParams(**given)
    with pytest.raises(HandoffError):
        from_params(SftConfig, given)


def test_what_only_costs_time_or_memory_is_no_part_of_the_identity():
    saving = {"save_steps", "keep_checkpoints", "report_to"}
    unhashed = {"micro_batch_size", "chunk_tokens", "gradient_checkpointing", "sharding", *saving}
    assert DEFAULTS.keys() - SftParams().model_dump(mode="json").keys() == unhashed
    assert complete(save_steps=5)["save_steps"] == 5


def test_the_format_says_what_is_read():
    def reads(form):
        return {name: column.optional for name, column in sft.reads_of(SftParams(format=form)).items()}

    assert reads("conversation") == {"messages": False}
    assert reads("completion") == {"prompt": False, "completion": False}
    assert reads("both") == {"messages": True, "prompt": True, "completion": True}
    assert sft.fn(SftParams()) == "trainers.sft"
