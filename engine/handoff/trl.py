"""TRL: `sft.yaml` for its command line. The names are those of TRL 1.16 with transformers 5."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from engine.handoff.folder import Order
from engine.handoff.target import (
    CONFIG,
    HUGGING_FACE,
    Cargo,
    Target,
    hugging_face,
    plain_template,
    uneven,
    write_template,
)

KEYS = HUGGING_FACE | {
    "format": "datasets.columns",
    "train_on": "assistant_only_loss, completion_only_loss",
    "warmup": "warmup_steps",
    "max_length": "max_length",
    "packing": "packing",
    "over_long": "truncation_mode",
    "loss": "loss_type",
    "lora_rank": "use_peft, lora_r",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "lora_targets": "lora_target_modules",
    "gradient_checkpointing": "gradient_checkpointing",
    "chat_template": "chat_template_path",
}

ONLY = {
    "format": ("conversation", "completion"),
    "optimizer": ("adamw",),
    "loss": ("token_mean",),
    "init": ("pretrained",),
}


def config(cargo: Cargo) -> dict[str, Any]:
    """What stands in `sft.yaml`, to be read in the folder."""
    order, p = cargo.order, cargo.order.params
    talk, answers = p["format"] == "conversation", p["train_on"] == "assistant"
    template = write_template(cargo)
    return {
        "model_name_or_path": order.base.model,
        **({"model_revision": order.base.revision} if order.base.revision else {}),
        "datasets": [{"path": "parquet", "data_files": list(cargo.files), "columns": list(order.reads)}],
        **({"chat_template_path": template} if template else {}),
        "assistant_only_loss" if talk else "completion_only_loss": answers,
        "max_length": p["max_length"],
        "truncation_mode": "keep_start",
        "packing": p["packing"],
        **({"packing_strategy": "bfd"} if p["packing"] else {}),
        "loss_type": "nll",
        **hugging_face(order),
        "warmup_steps": p["warmup"],
        "gradient_checkpointing": p["gradient_checkpointing"],
        **_lora(order),
    }


def write(cargo: Cargo) -> str:
    """Write `sft.yaml`; returns the command."""
    text = yaml.safe_dump(config(cargo), sort_keys=False, allow_unicode=True)
    (cargo.folder / CONFIG).write_text(text, encoding="utf-8")
    return f"trl sft --config {CONFIG}"


def _lora(order: Order) -> dict[str, Any]:
    p = order.params
    if p["lora_rank"] is None:
        return {}
    return {
        "use_peft": True,
        "lora_r": p["lora_rank"],
        "lora_alpha": p["lora_alpha"],
        "lora_dropout": p["lora_dropout"],
        "lora_target_modules": list(p["lora_targets"] or ["all-linear"]),
    }


def _refuses(order: Order) -> Iterator[str]:
    yield from uneven(order)
    yield from plain_template(order)


def _notes(cargo: Cargo) -> Iterator[str]:
    p = cargo.order.params
    if p["dtype"] == "auto":
        yield "dtype: auto becomes bf16: true, which takes a GPU; for a CPU, order dtype: float32"
    if cargo.report["masking"] == "prefix":
        yield (
            "the chat template has no generation markers, which TRL masks by: it takes a template of its own for the "
            "families that it knows, and refuses to start for others. Give a marked one by chat_template to be sure"
        )
    if p["packing"]:
        yield "which rows share a pack, and so a step, is TRL's own choice"


TRL = Target("trl", KEYS, write, ONLY, ("truncate",), _notes, _refuses)
