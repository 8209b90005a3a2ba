"""What LLaMA-Factory is told whatever the stage: the model, the rows, adapters, transformers' own arguments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from engine.handoff import hugging_face
from engine.handoff.folder import Order
from engine.handoff.hugging_face import uneven
from engine.handoff.target import Cargo, other_template, write_yaml

DATASETS = "dataset_info.json"

OWN_TEMPLATE = (
    "LLaMA-Factory makes a template of its own from what the tokenizer's gives for single turns. The pre-flight "
    "has checked the tokenizer's; compare its examples with the one that LLaMA-Factory prints when it starts"
)
"""The note on how it renders."""

KEYS = hugging_face.KEYS | {
    "warmup": "warmup_ratio",
    "max_length": "cutoff_len",
    "lora_rank": "finetuning_type, lora_rank",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "lora_targets": "lora_target",
    "quantization": "quantization_bit, double_quantization",
    "gradient_checkpointing": "disable_gradient_checkpointing",
}


def described(folder: str, columns: Mapping[str, str]) -> dict[str, Any]:
    """What `dataset_info.json` says of the rows in a folder; `columns`: ours by LLaMA-Factory's names."""
    tags = {"role_tag": "role", "content_tag": "content"}
    tags |= {f"{role}_tag": role for role in ("user", "assistant", "system")}
    return {"file_name": folder, "formatting": "sharegpt", "columns": dict(columns), "tags": tags}


def run(order: Order) -> dict[str, Any]:
    """The base, the rows, steps and adapters."""
    p = order.params
    return {
        "model_name_or_path": order.base.model,
        **({"model_revision": order.base.revision} if order.base.revision else {}),
        "do_train": True,
        **_weights(order),
        "dataset_dir": ".",
        "dataset": order.name,
        **hugging_face.arguments(order),
        "warmup_ratio": p["warmup"],
        "disable_gradient_checkpointing": not p["gradient_checkpointing"],
    }


def write_files(cargo: Cargo, dataset: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Write both files; returns the command."""
    datasets = json.dumps({cargo.order.name: dataset}, indent=2, ensure_ascii=False)
    (cargo.folder / DATASETS).write_text(datasets + "\n", encoding="utf-8")
    write_yaml(cargo, config)
    return f"llamafactory-cli train {cargo.config}"


def refuses(order: Order) -> Iterator[str]:
    """What it can't do at any stage."""
    yield from uneven(order)
    yield from other_template(order)


def _weights(order: Order) -> dict[str, Any]:
    p = order.params
    if p["lora_rank"] is None:
        return {"finetuning_type": "full"}
    return {
        "finetuning_type": "lora",
        "lora_rank": p["lora_rank"],
        "lora_alpha": p["lora_alpha"],
        "lora_dropout": p["lora_dropout"],
        "lora_target": ",".join(p["lora_targets"] or ["all"]),
        **({"quantization_bit": int(p["quantization"][0]), "double_quantization": True} if p["quantization"] else {}),
    }
