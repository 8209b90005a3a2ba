"""axolotl: `sft.yaml`. The names are those of axolotl 0.19."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from engine.handoff.folder import Order
from engine.handoff.target import (
    CONFIG,
    OUT,
    SCHEDULES,
    Cargo,
    Target,
    batches,
    plain_template,
    saving,
    uneven,
    write_template,
)

KEYS = {
    "format": "datasets.type",
    "train_on": "train_on_inputs, datasets.roles_to_train",
    "epochs": "num_epochs",
    "max_steps": "max_steps",
    "learning_rate": "learning_rate",
    "schedule": "lr_scheduler",
    "warmup": "warmup_ratio",
    "min_learning_rate": "cosine_min_lr_ratio",
    "optimizer": "optimizer",
    "weight_decay": "weight_decay",
    "betas": "adam_beta1, adam_beta2",
    "max_grad_norm": "max_grad_norm",
    "batch_size": "gradient_accumulation_steps",
    "micro_batch_size": "micro_batch_size",
    "max_length": "sequence_len",
    "packing": "sample_packing",
    "over_long": "excess_length_strategy",
    "dtype": "bf16",
    "lora_rank": "adapter, lora_r",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "lora_targets": "lora_target_linear, lora_target_modules",
    "gradient_checkpointing": "gradient_checkpointing",
    "chat_template": "chat_template, chat_template_jinja",
    "init": "reinit_weights",
    "save_steps": "save_strategy, save_steps",
    "keep_checkpoints": "save_total_limit",
}

ONLY = {
    "format": ("conversation",),
    "optimizer": ("adamw",),
    "loss": ("token_mean",),
}

EXCESS = {"error": "raise", "drop": "drop", "truncate": "truncate"}
BF16 = {"auto": "auto", "bfloat16": True, "float32": False}


def config(cargo: Cargo) -> dict[str, Any]:
    """What stands in `sft.yaml`, to be read in the folder. A data set's own template goes before the one for all."""
    order, p = cargo.order, cargo.order.params
    path = write_template(cargo)
    template = (
        {"chat_template": "jinja", "chat_template_jinja": path} if path else {"chat_template": "tokenizer_default"}
    )
    return {
        "base_model": order.base.model,
        **({"revision_of_model": order.base.revision} if order.base.revision else {}),
        "reinit_weights": p["init"] == "random",
        **template,
        "datasets": [_dataset(file, order) | template for file in cargo.files],
        "dataset_prepared_path": "prepared",
        "train_on_inputs": p["train_on"] == "all",
        "sequence_len": p["max_length"],
        "sample_packing": p["packing"],
        "attn_implementation": "sdpa",
        "excess_length_strategy": EXCESS[p["over_long"]],
        **_steps(order),
        **_lora(order),
        "bf16": BF16[p["dtype"]],
        "gradient_checkpointing": p["gradient_checkpointing"],
        "seed": order.seed,
        "val_set_size": 0.0,
        **saving(p),
        "output_dir": OUT,
    }


def write(cargo: Cargo) -> str:
    """Write `sft.yaml`; returns the command."""
    text = yaml.safe_dump(config(cargo), sort_keys=False, allow_unicode=True)
    (cargo.folder / CONFIG).write_text(text, encoding="utf-8")
    return f"axolotl train {CONFIG}"


def _dataset(file: str, order: Order) -> dict[str, Any]:
    roles = ["assistant"] if order.params["train_on"] == "assistant" else ["system", "user", "assistant", "tool"]
    return {
        "path": file,
        "ds_type": "parquet",
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": roles,
        "train_on_eos": "turn",
    }


def _steps(order: Order) -> dict[str, Any]:
    p = order.params
    micro, accumulated = batches(p)
    rate, least = p["learning_rate"], p["min_learning_rate"]
    floor = {"cosine_min_lr_ratio": least / rate} if least and rate and p["schedule"] == "cosine" else {}
    return {
        "num_epochs": p["epochs"],
        **({"max_steps": p["max_steps"]} if p["max_steps"] else {}),
        "micro_batch_size": micro,
        "gradient_accumulation_steps": accumulated,
        "learning_rate": rate,
        "lr_scheduler": SCHEDULES[p["schedule"]],
        **floor,
        "warmup_ratio": p["warmup"],
        "optimizer": "adamw_torch",
        "weight_decay": p["weight_decay"],
        "adam_beta1": p["betas"][0],
        "adam_beta2": p["betas"][1],
        "max_grad_norm": p["max_grad_norm"],
    }


def _lora(order: Order) -> dict[str, Any]:
    p = order.params
    if p["lora_rank"] is None:
        return {}
    targets = {"lora_target_modules": list(p["lora_targets"])} if p["lora_targets"] else {"lora_target_linear": True}
    adapter = {"adapter": "lora", "lora_r": p["lora_rank"], "lora_alpha": p["lora_alpha"]}
    return {**adapter, "lora_dropout": p["lora_dropout"], **targets}


def _refuses(order: Order) -> Iterator[str]:
    yield from uneven(order)
    yield from plain_template(order)


def _notes(cargo: Cargo) -> Iterator[str]:
    yield (
        "axolotl finds the turns in its own way, and trains on the end of a turn only where it is the tokenizer's EOS; "
        "`axolotl preprocess sft.yaml --debug` shows its masks, to be compared with the examples of preflight.md"
    )
    if cargo.order.params["packing"]:
        yield "which rows share a pack, and so a step, is axolotl's own choice"


AXOLOTL = Target("axolotl", KEYS, write, ONLY, ("drop", "truncate"), _notes, _refuses)
