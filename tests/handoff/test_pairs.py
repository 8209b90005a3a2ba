"""What each target is told of pairs of answers, field by field against its published loader, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from handoff.loaders import AXOLOTL, AXOLOTL_PAIRS, DATASET_INFO, LLAMAFACTORY, TAGS, check, written

from engine.handoff.deliver import TARGETS
from engine.model import Weights

FOREIGN = ("trl", "llamafactory", "axolotl")
ORDERS: list[dict[str, Any]] = [
    {},
    {"loss": "ipo", "beta": 0.05, "schedule": "linear", "save_steps": 5, "max_steps": 3, "sft_weight": 0.2},
    {"loss": "hinge", "lora_rank": 4, "min_learning_rate": 1e-7, "dtype": "float32", "report_to": "tensorboard"},
]
SMOOTHED = {"label_smoothing": 0.1}
NO_REFERENCE = {"reference": "none"}


def pair(*chosen: str) -> dict[str, Any]:
    answer = [{"role": ("assistant", "user")[i % 2], "content": text} for i, text in enumerate(chosen)]
    rejected = [{"role": "assistant", "content": "No."}]
    return {"row_id": "r", "prompt": [{"role": "user", "content": "Why?"}], "chosen": answer, "rejected": rejected}


@pytest.fixture
def pairs(cargo):
    """`pairs(loss="ipo")`: the folder of a hand-off of two pairs, which are not packed."""

    def make(base=None, rows=None, **given):
        return cargo("dpo", base, **{"packing": False, "rows": rows or [pair("So."), pair("It is so.")], **given})

    return make


@pytest.mark.parametrize("params", ORDERS)
@pytest.mark.parametrize(("target", "known"), [("llamafactory", LLAMAFACTORY), ("axolotl", AXOLOTL)])
def test_every_key_is_one_that_the_loader_has(pairs, target, known, params):
    check(written(target, pairs(**params)), known)


def test_llamafactory_gets_each_answer_as_one_message(pairs):
    freight = pairs()
    config = written("llamafactory", freight)
    info = json.loads((freight.folder / "dataset_info.json").read_text(encoding="utf-8"))["dpo"]
    check(info, DATASET_INFO)
    assert info["tags"].keys() <= TAGS
    assert (info["ranking"], info["columns"]["messages"]) == (True, "prompt")
    assert (config["stage"], config["dataset"], config["cutoff_len"]) == ("dpo", "dpo", 2048)
    rows = pq.read_table(freight.folder / info["file_name"]).to_pylist()
    assert [row["chosen"] for row in rows] == [{"role": "assistant", "content": text} for text in ("So.", "It is so.")]
    assert rows[0]["rejected"] == {"role": "assistant", "content": "No."}
    assert rows[0]["prompt"] == [{"role": "user", "content": "Why?"}], "a prompt stays a list"


def test_axolotl_reads_each_file_under_the_template_that_was_checked(pairs):
    config = written("axolotl", pairs(Weights("m", chat_template="{{ messages }}"), over_long="drop"))
    assert (config["rl"], config["sample_packing"], config["excess_length_strategy"]) == ("dpo", False, "drop")
    assert (config["chat_template"], config["chat_template_jinja"]) == ("jinja", "chat_template.jinja")
    for dataset in config["datasets"]:
        check(dataset, AXOLOTL_PAIRS)


@pytest.mark.parametrize(
    ("params", "trl", "llamafactory"),
    [
        ({"beta": 0.2}, (["sigmoid"], [1.0], 0.2, 0.0), ("sigmoid", 0.2, 0.0, 0.0)),
        ({"loss": "robust", **SMOOTHED}, (["robust"], [1.0], 0.1, 0.1), None),
        ({"loss": "cdpo", **SMOOTHED}, None, ("sigmoid", 0.1, 0.1, 0.0)),
        ({"loss": "ipo", "sft_weight": 0.3}, (["ipo", "sft"], [1.0, 0.3], 0.1, 0.0), ("ipo", 0.1, 0.0, 0.3)),
        ({"loss": "sigmoid_norm", "beta": 5.0}, (["sigmoid_norm"], [1.0], 5.0, 0.0), None),
        ({"loss": "simpo", "gamma": 1.2, **NO_REFERENCE}, None, ("simpo", 0.1, 0.0, 0.0)),
        ({"loss": "orpo", "lambda_or": 0.4, **NO_REFERENCE}, None, ("orpo", 0.4, 0.0, 0.0)),
    ],
)
def test_a_loss_arrives_as_it_was_ordered_or_is_refused(pairs, params, trl, llamafactory):
    freight = pairs(**params)
    refusing = {name for name, target in TARGETS.items() if target.refusals(freight.order)}
    assert refusing == {
        *(["trl", "axolotl"] if trl is None else []),
        *(["llamafactory"] if llamafactory is None else []),
    }
    if trl:
        said = written("trl", freight)
        assert (said["loss_type"], said["loss_weights"], said["beta"], said["label_smoothing"]) == trl
        said = written("axolotl", freight)
        names = ("dpo_loss_type", "dpo_loss_weights", "rl_beta", "dpo_label_smoothing")
        assert tuple(said[name] for name in names) == trl
    if llamafactory:
        said = written("llamafactory", freight)
        names = ("pref_loss", "pref_beta", "dpo_label_smoothing", "pref_ftx")
        assert tuple(said[name] for name in names) == llamafactory
        assert said["simpo_gamma"] == params.get("gamma", 0.5)


@pytest.mark.parametrize(
    ("targets", "params", "said"),
    [
        (FOREIGN, {"packing": True}, "packing is True"),
        (FOREIGN, {"loss": "kto"}, "loss is kto"),
        (FOREIGN, {"reference": "precomputed"}, "reference is precomputed"),
        (FOREIGN, {"share_prompt": True}, "share_prompt is True"),
        (FOREIGN, {"optimizer": "muon"}, "optimizer is muon"),
        (FOREIGN, {"init": "random"}, "init is random"),
        (("trl", "llamafactory"), {"chat_template": "{{ messages }}"}, "no other template than the tokenizer's"),
        (("axolotl",), {"chat_template": "plain"}, "write the template out"),
        (FOREIGN, {"batch_size": 5, "micro_batch_size": 2}, "no multiple"),
    ],
)
def test_what_a_target_can_not_do_is_refused_with_the_reason(pairs, targets, params, said):
    order = pairs(**params).order
    for name in targets:
        (reason,) = (reason for reason in TARGETS[name].refusals(order) if said in reason)
        assert ": " in reason
    assert TARGETS["native"].refusals(order) == []


def test_a_trainer_that_a_target_has_not_is_refused(pairs):
    (reason,) = TARGETS["trl"].refusals(pairs().order.__class__("x", "other", Weights("m"), {}, 1, {}))
    assert reason == "it has no train: other: hand over to native"


@pytest.mark.parametrize(
    ("over_long", "refused"), [("drop", {"trl", "llamafactory"}), ("truncate_prompt", set(FOREIGN))]
)
def test_rows_that_are_too_long(pairs, over_long, refused):
    freight = pairs(over_long=over_long, over_long_rows=3)
    assert {name for name, target in TARGETS.items() if target.lost_rows(freight)} == refused
    assert not any(target.lost_rows(pairs(over_long=over_long)) for target in TARGETS.values())


def test_pairs_that_only_the_native_trainer_leaves_out(pairs):
    found = [
        {"code": "same_answers", "count": 2},
        {"code": "empty_answer", "count": 1},
        {"code": "eos_is_pad", "count": 9},
    ]
    freight = pairs(bad_pairs="drop", report={"warnings": found})
    reasons = {name: target.lost_rows(freight) for name, target in TARGETS.items()}
    assert {name for name, reason in reasons.items() if reason} == set(FOREIGN)
    assert reasons["trl"][0].startswith("3 pairs have equal answers or an empty one")


def test_answers_of_several_turns(pairs):
    freight = pairs(rows=[pair("So."), pair("So.", "Why?", "It is so.")])
    reasons = {name: target.lost_rows(freight) for name, target in TARGETS.items()}
    assert {name for name, reason in reasons.items() if reason} == {"llamafactory", "axolotl"}
    assert reasons["axolotl"][0].startswith("1 pairs have an answer of several turns")


@pytest.mark.slow
@pytest.mark.parametrize("params", ORDERS)
def test_trl_reads_its_config(pairs, params, monkeypatch):
    from trl.scripts.dpo import make_parser

    freight = pairs(**params)
    written("trl", freight)
    monkeypatch.chdir(freight.folder)
    script, training, model, data = make_parser().parse_args_and_config(["--config", "dpo.yaml", "--use_cpu", "true"])
    order = freight.order.params
    assert script.dataset_name is None
    assert data.datasets[0].columns == ["prompt", "chosen", "rejected"]
    assert training.loss_type == [order["loss"], *(["sft"] if order["sft_weight"] else [])]
    assert (training.beta, training.max_length) == (order["beta"], order["max_length"])
    assert training.precompute_ref_log_probs is False
    assert model.use_peft is (order["lora_rank"] is not None)
