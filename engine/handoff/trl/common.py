"""What TRL is told whatever the trainer: the model, the rows, adapters, transformers' own arguments."""

from __future__ import annotations

from typing import Any

from engine.handoff import hugging_face
from engine.handoff.folder import Order
from engine.handoff.target import Cargo

KEYS = hugging_face.KEYS | {
    "warmup": "warmup_steps",
    "max_length": "max_length",
    "lora_rank": "use_peft, lora_r",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "lora_targets": "lora_target_modules",
    "quantization": "load_in_4bit, use_bnb_nested_quant, load_in_8bit",
    "gradient_checkpointing": "gradient_checkpointing",
}

QUANTIZED: dict[str | None, dict[str, Any]] = {
    None: {},
    "4bit": {"load_in_4bit": True, "use_bnb_nested_quant": True},
    "8bit": {"load_in_8bit": True},
}


def model_and_rows(cargo: Cargo) -> dict[str, Any]:
    """The base, and the files with their columns."""
    order = cargo.order
    return {
        "model_name_or_path": order.base.model,
        **({"model_revision": order.base.revision} if order.base.revision else {}),
        "datasets": [{"path": "parquet", "data_files": list(cargo.files), "columns": list(order.reads)}],
    }


def run(order: Order) -> dict[str, Any]:
    """Lengths, steps and adapters."""
    p = order.params
    return {
        "max_length": p["max_length"],
        "truncation_mode": "keep_start",
        **hugging_face.arguments(order),
        "warmup_steps": p["warmup"],
        "gradient_checkpointing": p["gradient_checkpointing"],
        **_lora(order),
    }


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
        **QUANTIZED[p["quantization"]],
    }
