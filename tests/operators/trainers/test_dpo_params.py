"""`train: dpo` in a spec against the trainer's own configuration: names, defaults, bounds and contradictions."""

import dataclasses

import pytest
from pydantic import ValidationError

from engine.operators.trainers._run import RunParams
from engine.operators.trainers.dpo import PAIR, SINGLE, DpoParams, dpo
from engine.registry import operator
from engine.schema import BOOLEAN_TYPE, MESSAGES_TYPE, NUMBER_TYPE
from trainers.config import DpoConfig, from_params
from trainers.errors import HandoffError

DEFAULTS = {field.name: field.default for field in dataclasses.fields(DpoConfig)}


def complete(**given):
    """What the engine hands over."""
    params = DpoParams(**given)
    return {name: getattr(params, name) for name in DpoParams.model_fields}


def test_names_and_defaults_are_the_trainers():
    assert {name: field.default for name, field in DpoParams.model_fields.items()} == DEFAULTS
    assert from_params(DpoConfig, complete()) == DpoConfig()


@pytest.mark.parametrize(
    "given",
    [
        {"loss": "cdpo", "label_smoothing": 0.1, "sft_weight": 0.5},
        {"loss": "robust", "label_smoothing": 0.49, "reference": "precomputed"},
        {"loss": "simpo", "reference": "none", "gamma": 1.6, "beta": 2.0},
        {"loss": "orpo", "reference": "none", "lambda_or": 0.2},
        {"loss": "kto", "desirable_weight": 1.5, "undesirable_weight": 0.5},
        {"loss": "sigmoid_norm", "beta": 5.0, "share_prompt": True, "over_long": "truncate_prompt"},
        {"loss": "ipo", "bad_pairs": "drop", "over_long": "drop", "reference": "precomputed"},
    ],
)
def test_both_take_the_same(given):
    assert from_params(DpoConfig, complete(**given)) == DpoConfig(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"beta": 0.0}, "beta"),
        ({"loss": "dpo"}, "loss"),
        ({"sft_weight": -0.1}, "sft_weight"),
        ({"loss": "robust", "label_smoothing": 0.5}, "label_smoothing"),
        ({"loss": "simpo"}, "write reference: none"),
        ({"loss": "orpo", "reference": "precomputed"}, "write reference: none"),
        ({"reference": "none"}, "write reference: live or precomputed"),
        ({"label_smoothing": 0.1}, "label_smoothing: means nothing to loss: sigmoid, only to cdpo and robust"),
        ({"gamma": 1.0}, "gamma: means nothing to loss: sigmoid"),
        ({"loss": "orpo", "reference": "none", "beta": 0.2}, "beta: means nothing to loss: orpo"),
        ({"lambda_or": 0.2}, "lambda_or: means nothing"),
        ({"desirable_weight": 2.0}, "desirable_weight: means nothing"),
        ({"undesirable_weight": 2.0}, "undesirable_weight: means nothing"),
        ({"loss": "cdpo"}, "cdpo without label_smoothing is sigmoid"),
        ({"loss": "kto", "sft_weight": 0.1}, "sft_weight: needs pairs"),
        ({"loss": "kto", "share_prompt": True}, "share_prompt: needs pairs"),
        ({"reference": "precomputed", "over_long": "truncate_prompt"}, "over_long: truncate_prompt cuts"),
        ({"over_long": "truncate"}, "over_long"),
        ({"epochs": 0.0}, "epochs"),
    ],
)
def test_both_refuse_the_same(given, said):
    with pytest.raises(ValidationError, match=said):
        DpoParams(**given)
    with pytest.raises(HandoffError):
        from_params(DpoConfig, given)


def test_contradictions_are_told_together():
    with pytest.raises(ValidationError, match=r"reference: none .*; gamma: means nothing .*; lambda_or"):
        DpoParams(reference="none", gamma=1.0, lambda_or=0.3)


def test_all_that_is_said_of_preferences_is_part_of_the_identity():
    hashed = DpoParams().model_dump(mode="json").keys()
    assert DEFAULTS.keys() - hashed == RunParams.model_fields.keys() - RunParams().model_dump(mode="json").keys()


def reads(**given):
    return {name: column.type for name, column in dpo.reads_of(DpoParams(**given)).items()}


def test_the_loss_and_the_reference_say_what_is_read():
    pairs = dict.fromkeys(("prompt", "chosen", "rejected"), MESSAGES_TYPE)
    single = dict.fromkeys(("prompt", "completion"), MESSAGES_TYPE) | {"label": BOOLEAN_TYPE}
    assert reads() == pairs
    assert reads(reference="precomputed") == pairs | dict.fromkeys(PAIR, NUMBER_TYPE)
    assert reads(loss="kto") == single
    assert reads(loss="kto", reference="precomputed") == single | dict.fromkeys(SINGLE, NUMBER_TYPE)
    assert reads(loss="orpo", reference="none") == pairs
    assert dpo.fn(DpoParams()) == "trainers.dpo"


def test_a_precomputed_reference_is_what_the_scorer_writes():
    score = operator("score", "loglikelihood")
    for rows, columns in (("preference", PAIR), ("binary", SINGLE)):
        assert tuple(score.writes_of(score.params(rows=rows), None)) == columns
