"""What axolotl is told whatever the trainer: the model, its template, steps, adapters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.handoff.folder import Order
from engine.handoff.hugging_face import SCHEDULES, batches, saving, uneven
from engine.handoff.target import OUT, Cargo, plain_template, write_template, write_yaml

KEYS = {
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
    "quantization": "adapter, load_in_4bit, load_in_8bit",
    "gradient_checkpointing": "gradient_checkpointing",
    "chat_template": "chat_template, chat_template_jinja",
    "save_steps": "save_strategy, save_steps",
    "keep_checkpoints": "save_total_limit",
    "report_to": "use_tensorboard, use_wandb",
}

EXCESS = {"error": "raise", "drop": "drop", "truncate": "truncate", "truncate_prompt": "raise"}
"""What it calls what is to be done with rows that are too long; it can cut no prompt."""

QUANTIZED: dict[str | None, dict[str, Any]] = {
    None: {"adapter": "lora"},
    "4bit": {"adapter": "qlora", "load_in_4bit": True},
    "8bit": {"adapter": "lora", "load_in_8bit": True},
}
"""Its adapters on a base of full, of 4 and of 8 bits."""

BF16 = {"auto": "auto", "bfloat16": True, "float32": False}


def template(cargo: Cargo) -> dict[str, Any]:
    """The chat template: its own file where one replaces the base's."""
    path = write_template(cargo)
    return {"chat_template": "jinja", "chat_template_jinja": path} if path else {"chat_template": "tokenizer_default"}


def run(order: Order) -> dict[str, Any]:
    """The base, lengths, steps and adapters."""
    p = order.params
    return {
        "base_model": order.base.model,
        **({"revision_of_model": order.base.revision} if order.base.revision else {}),
        "dataset_prepared_path": "prepared",
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
        **({f"use_{p['report_to']}": True} if p["report_to"] != "none" else {}),
        "output_dir": OUT,
    }


def write_config(cargo: Cargo, config: dict[str, Any]) -> str:
    """Write the configuration; returns the command."""
    write_yaml(cargo, config)
    return f"axolotl train {cargo.config}"


def refuses(order: Order) -> Iterator[str]:
    """What it can't do whatever the trainer."""
    yield from uneven(order)
    yield from plain_template(order)


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
    adapter = QUANTIZED[p["quantization"]] | {"lora_r": p["lora_rank"], "lora_alpha": p["lora_alpha"]}
    return {**adapter, "lora_dropout": p["lora_dropout"], **targets}
