"""What each target is told, field by field against its published loader, and what it refuses."""

import json
from typing import Any

import pytest
from handoff.loaders import AXOLOTL, AXOLOTL_DATASET, DATASET_INFO, LLAMAFACTORY, TAGS, check, written

from engine.handoff.deliver import TARGETS
from engine.handoff.hugging_face import batches
from engine.model import Weights
from engine.operator import Kind
from engine.registry import operator

FREE = {"chunk_tokens", "sharding"}
"""Speed and memory alone: another target has its own means."""

ORDERS: list[dict[str, Any]] = [
    {},
    {"packing": False, "batch_size": 12, "train_on": "all", "schedule": "linear", "save_steps": 5, "max_steps": 3},
    {"lora_rank": 4, "min_learning_rate": 1e-6, "dtype": "float32", "gradient_checkpointing": True},
    {"lora_rank": 4, "lora_targets": ("q_proj", "v_proj"), "schedule": "constant", "dtype": "bfloat16"},
    {"neftune_alpha": 5.0, "report_to": "wandb", "lora_rank": 4, "quantization": "4bit"},
    {"lora_rank": 4, "quantization": "8bit", "report_to": "tensorboard"},
]


@pytest.mark.parametrize("params", ORDERS)
@pytest.mark.parametrize(("target", "known"), [("llamafactory", LLAMAFACTORY), ("axolotl", AXOLOTL)])
def test_every_key_is_one_that_the_loader_has(cargo, target, known, params):
    check(written(target, cargo(**params)), known)


def test_llamafactory_reads_the_messages(cargo):
    freight = cargo(packing=True, max_length=64)
    config = written("llamafactory", freight)
    info = json.loads((freight.folder / "dataset_info.json").read_text(encoding="utf-8"))
    assert list(info) == [config["dataset"]]
    check(info["sft"], DATASET_INFO)
    assert info["sft"]["tags"].keys() <= TAGS
    assert info["sft"]["columns"] == {"messages": "messages"}
    assert config["cutoff_len"] == 65, "it takes one off where it packs"
    assert written("llamafactory", cargo(packing=False, max_length=64))["cutoff_len"] == 64


def test_axolotl_reads_each_file_under_the_template_that_was_checked(cargo):
    freight = cargo("sft", Weights("m", chat_template="{{ messages }}"), over_long="drop", train_on="all")
    config = written("axolotl", freight)
    assert config["excess_length_strategy"] == "drop"
    assert config["train_on_inputs"] is True
    for dataset in config["datasets"]:
        check(dataset, AXOLOTL_DATASET)
        assert (dataset["chat_template"], dataset["chat_template_jinja"]) == ("jinja", "chat_template.jinja")
    assert (freight.folder / "chat_template.jinja").read_text(encoding="utf-8") == "{{ messages }}"
    assert written("axolotl", cargo())["datasets"][0]["chat_template"] == "tokenizer_default"


@pytest.mark.parametrize("target", ["trl", "llamafactory", "axolotl"])
def test_numbers_arrive_as_they_were_ordered(cargo, target):
    ordered = {"learning_rate": 3e-4, "betas": (0.8, 0.9), "weight_decay": 0.1, "batch_size": 6, "micro_batch_size": 2}
    config = written(target, cargo(**ordered, warmup=0.1, max_grad_norm=2.0, epochs=1.5, min_learning_rate=3e-5))
    share = config.get("warmup_ratio", config.get("warmup_steps"))
    assert (share, config["learning_rate"], config["weight_decay"], config["max_grad_norm"]) == (0.1, 3e-4, 0.1, 2.0)
    assert (config["adam_beta1"], config["adam_beta2"], config["seed"]) == (0.8, 0.9, 17)
    assert config["gradient_accumulation_steps"] == 3
    assert config.get("num_train_epochs", config.get("num_epochs")) == 1.5
    least = config.get("lr_scheduler_kwargs", {}).get("min_lr") or config["cosine_min_lr_ratio"] * 3e-4
    assert least == pytest.approx(3e-5)


@pytest.mark.parametrize(
    ("targets", "params", "said"),
    [
        ("trl llamafactory axolotl", {"optimizer": "muon"}, "optimizer is muon"),
        ("trl llamafactory axolotl", {"loss": "sum"}, "loss is sum"),
        ("trl llamafactory axolotl", {"loss": "per_sequence_mean"}, "knows only token_mean"),
        ("trl llamafactory axolotl", {"format": "both"}, "format is both"),
        ("llamafactory axolotl", {"format": "completion"}, "knows only conversation"),
        ("trl", {"init": "random"}, "init is random"),
        ("trl axolotl", {"chat_template": "plain"}, "write the template out"),
        ("llamafactory", {"chat_template": "{{ messages }}"}, "no other template than the tokenizer's"),
        ("trl llamafactory axolotl", {"batch_size": 5, "micro_batch_size": 2}, "no multiple"),
        ("trl llamafactory axolotl", {"schedule": "linear", "min_learning_rate": 1e-6}, "set schedule: cosine"),
    ],
)
def test_what_a_target_can_not_do_is_refused_with_the_reason(cargo, targets, params, said):
    order = cargo(**params).order
    refusing = {name: target.refusals(order) for name, target in TARGETS.items()}
    for name in targets.split():
        assert len(refusing[name]) == 1
        assert said in refusing[name][0]
    assert refusing["native"] == []


@pytest.mark.parametrize(
    ("over_long", "refused"),
    [("drop", {"trl", "llamafactory"}), ("truncate", {"llamafactory"})],
)
def test_rows_that_are_too_long(cargo, over_long, refused):
    freight = cargo(over_long=over_long, over_long_rows=3)
    assert {name for name, target in TARGETS.items() if target.lost_rows(freight)} == refused
    fitting = cargo(over_long=over_long)
    assert not any(target.lost_rows(fitting) for target in TARGETS.values())


MOOT = {"sft": set(), "dpo": {"bad_pairs", "desirable_weight", "undesirable_weight"}}
"""What is refused by the rows, or goes with a loss that no other target has."""

NOT_SAID = {
    ("llamafactory", "sft"): {"over_long", "chat_template"},
    ("llamafactory", "dpo"): {"over_long", "chat_template"},
    ("trl", "dpo"): {"over_long", "chat_template", "gamma", "lambda_or"},
    ("axolotl", "dpo"): {"gamma", "lambda_or"},
}


@pytest.mark.parametrize("trainer", ["sft", "dpo"])
def test_every_parameter_is_said_or_refused(trainer):
    fields = operator(Kind.TRAIN, trainer).params.model_fields.keys()
    for name, target in TARGETS.items():
        recipe = target.recipes[trainer]
        moot = MOOT[trainer] | ({"muon_learning_rate"} if "optimizer" in recipe.only else set())
        refused = NOT_SAID.get((name, trainer), set())
        assert fields - recipe.keys.keys() - recipe.only.keys() - moot - refused - FREE == set()
        assert recipe.keys.keys() <= fields


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"batch_size": 32, "packing": True}, (1, 32)),
        ({"batch_size": 32, "packing": False}, (8, 4)),
        ({"batch_size": 7, "packing": False}, (7, 1)),
        ({"batch_size": 22, "packing": False}, (2, 11)),
        ({"batch_size": 6, "micro_batch_size": 3}, (3, 2)),
    ],
)
def test_the_sizes_of_batches(cargo, params, expected):
    assert batches(cargo(**params).order.params) == expected


def test_a_template_without_markers_is_told_to_who_hands_over_to_trl(cargo):
    assert any("no generation markers" in note for note in TARGETS["trl"].notes(cargo(report={"masking": "prefix"})))
    assert not any("generation markers" in note for note in TARGETS["trl"].notes(cargo()))


@pytest.mark.slow
@pytest.mark.parametrize("params", [*ORDERS, {"format": "completion"}, {"chat_template": "{{ messages }}"}])
def test_trl_reads_its_config(cargo, params, monkeypatch):
    from trl.scripts.sft import make_parser

    freight = cargo(**params)
    config = written("trl", freight)
    monkeypatch.chdir(freight.folder)
    script, training, model, data = make_parser().parse_args_and_config(["--config", "sft.yaml", "--use_cpu", "true"])
    order = freight.order.params
    assert script.dataset_name is None
    assert data.datasets[0].columns == list(freight.order.reads)
    assert (training.max_length, training.packing) == (order["max_length"], order["packing"])
    assert training.warmup_steps == order["warmup"]
    assert (model.model_name_or_path, model.model_revision) == ("hub/name", "abc123")
    assert model.use_peft is (order["lora_rank"] is not None)
    assert training.assistant_only_loss is config.get("assistant_only_loss", False)
    if order["min_learning_rate"]:
        assert training.lr_scheduler_kwargs == {"min_lr": order["min_learning_rate"]}
