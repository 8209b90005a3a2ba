"""Parameters of preference optimisation: defaults of their own, and what means nothing beside the loss."""

from __future__ import annotations

import json

import pytest

from trainers.config import CONFIGS, DpoConfig, SftConfig, from_params, to_params
from trainers.errors import HandoffError


def test_defaults_survive_json_and_differ_from_those_of_fine_tuning():
    config = from_params(DpoConfig, json.loads(json.dumps(to_params(DpoConfig()))))
    assert config == DpoConfig()
    assert (config.learning_rate, config.warmup, config.batch_size) == (1e-6, 0.1, 32)
    assert SftConfig().learning_rate == 2e-5
    assert CONFIGS["dpo"] is DpoConfig


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"loss": "exo"}, "params.loss is 'exo': it must be sigmoid or cdpo or"),
        ({"beta": 0}, "params.beta is 0.0: it must be above 0"),
        (
            {"loss": "robust", "label_smoothing": 0.5},
            "params.label_smoothing is 0.5: it must be at least 0 and below 0.5",
        ),
        ({"loss": "cdpo"}, "params.label_smoothing is 0.0: without it cdpo is sigmoid"),
        ({"label_smoothing": 0.1}, "params.label_smoothing is 0.1: loss sigmoid has no use for it, only cdpo, robust"),
        ({"loss": "orpo", "reference": "none", "beta": 0.2}, "params.beta is 0.2: loss orpo has no use for it"),
        ({"gamma": 1.0}, "params.gamma is 1.0: loss sigmoid has no use for it, only simpo"),
        ({"loss": "simpo"}, "params.reference is 'live': with loss simpo it must be none"),
        ({"reference": "none"}, "params.reference is 'none': with loss sigmoid it must be live or precomputed"),
        (
            {"reference": "precomputed", "over_long": "truncate_prompt"},
            "params.over_long is 'truncate_prompt': the columns",
        ),
        ({"loss": "kto", "sft_weight": 0.1}, "params.sft_weight is 0.1: it is of pairs, and kto has none"),
        ({"loss": "kto", "share_prompt": True}, "params.share_prompt is True: it is of pairs, and kto has none"),
        ({"sft_weight": -1}, "params.sft_weight is -1.0: it must be at least 0"),
        ({"max_length": 1}, "params.max_length is 1: it must be at least 2"),
        ({"format": "both"}, "params has format, and train: dpo knows only"),
    ],
)
def test_what_means_nothing_is_refused_by_name(params, said):
    with pytest.raises(HandoffError) as refusal:
        from_params(DpoConfig, params)
    assert said in str(refusal.value)
