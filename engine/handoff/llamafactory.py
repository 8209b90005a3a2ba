"""LLaMA-Factory: `dataset_info.json` and `sft.yaml`. The names are those of LLaMA-Factory 0.9.5.

The rows go in ShareGPT's formatting, with OpenAI's tags: the formatting `openai` gives every talk without a system
prompt one of its own (`detailed thinking off`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from engine.handoff.folder import Order
from engine.handoff.target import CONFIG, HUGGING_FACE, Cargo, Target, hugging_face, template_of, uneven

DATASETS = "dataset_info.json"

KEYS = HUGGING_FACE | {
    "format": "formatting",
    "train_on": "train_on_prompt",
    "warmup": "warmup_ratio",
    "max_length": "cutoff_len",
    "packing": "packing, neat_packing",
    "lora_rank": "finetuning_type, lora_rank",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "lora_targets": "lora_target",
    "gradient_checkpointing": "disable_gradient_checkpointing",
    "init": "train_from_scratch",
}

ONLY = {
    "format": ("conversation",),
    "optimizer": ("adamw",),
    "loss": ("token_mean",),
}


def dataset_info(order: Order) -> dict[str, Any]:
    """What stands in `dataset_info.json`."""
    tags = {"role_tag": "role", "content_tag": "content"}
    tags |= {f"{role}_tag": role for role in ("user", "assistant", "system")}
    described = {"file_name": "data", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}
    return {order.name: described}


def config(order: Order) -> dict[str, Any]:
    """What stands in `sft.yaml`, to be read in the folder.

    With packing LLaMA-Factory takes one off `cutoff_len`, and drops the rows that are longer than the rest.
    """
    p = order.params
    return {
        "model_name_or_path": order.base.model,
        **({"model_revision": order.base.revision} if order.base.revision else {}),
        "stage": "sft",
        "do_train": True,
        **_weights(order),
        "train_from_scratch": p["init"] == "random",
        "dataset_dir": ".",
        "dataset": order.name,
        "cutoff_len": p["max_length"] + (1 if p["packing"] else 0),
        "packing": p["packing"],
        "neat_packing": p["packing"],
        "train_on_prompt": p["train_on"] == "all",
        "mask_history": False,
        **hugging_face(order),
        "warmup_ratio": p["warmup"],
        "disable_gradient_checkpointing": not p["gradient_checkpointing"],
    }


def write(cargo: Cargo) -> str:
    """Write both files; returns the command."""
    datasets = json.dumps(dataset_info(cargo.order), indent=2, ensure_ascii=False)
    (cargo.folder / DATASETS).write_text(datasets + "\n", encoding="utf-8")
    text = yaml.safe_dump(config(cargo.order), sort_keys=False, allow_unicode=True)
    (cargo.folder / CONFIG).write_text(text, encoding="utf-8")
    return f"llamafactory-cli train {CONFIG}"


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
    }


def _refuses(order: Order) -> Iterator[str]:
    yield from uneven(order)
    if template_of(order) is not None:
        yield (
            "chat_template: llamafactory takes no other template than the tokenizer's: save the base with the template "
            "in its tokenizer, and name that as the base"
        )


def _notes(cargo: Cargo) -> Iterator[str]:
    yield (
        "LLaMA-Factory makes a template of its own from what the tokenizer's gives for single turns. The pre-flight "
        "has checked the tokenizer's; compare its examples with the one that LLaMA-Factory prints when it starts"
    )
    yield "a talk that doesn't go user, assistant, user, assistant is left out with a warning"
    if cargo.order.params["dtype"] == "auto":
        yield "dtype: auto becomes bf16: true, which takes a GPU; for a CPU, order dtype: float32"
    if cargo.order.params["packing"]:
        yield "which rows share a pack, and so a step, is LLaMA-Factory's own choice"


LLAMAFACTORY = Target("llamafactory", KEYS, write, ONLY, (), _notes, _refuses)
