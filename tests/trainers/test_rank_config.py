"""Parameters of list-wise training: what they survive, and what means nothing beside the loss."""

from __future__ import annotations

import json

import pytest

from trainers.config import CONFIGS, RankConfig, from_params, to_params
from trainers.errors import HandoffError


def test_defaults_survive_json():
    config = from_params(RankConfig, json.loads(json.dumps(to_params(RankConfig()))))
    assert config == RankConfig()
    assert (config.loss, config.rank_weight, config.sft_weight, config.length_exponent) == ("rrhf", 1, 1, 1)
    assert CONFIGS["rank"] is RankConfig


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"loss": "dpo"}, "params.loss is 'dpo': it must be rrhf or pro"),
        ({"rank_weight": -1}, "params.rank_weight is -1.0: it must be at least 0"),
        ({"rank_weight": 0, "sft_weight": 0}, "params.rank_weight is 0.0: with sft_weight 0 there is nothing to train"),
        ({"length_exponent": -0.1}, "params.length_exponent is -0.1: it must be at least 0"),
        ({"reward_gaps": True}, "params.reward_gaps is True: loss rrhf has no use for it, only pro"),
        ({"max_length": 1}, "params.max_length is 1: it must be at least 2"),
        ({"beta": 0.1}, "params has beta, and train: rank knows only"),
    ],
)
def test_what_means_nothing_is_refused_by_name(params, said):
    with pytest.raises(HandoffError) as refusal:
        from_params(RankConfig, params)
    assert said in str(refusal.value)
