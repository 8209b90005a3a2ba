"""axolotl's supervised fine-tuning. A data set's own template goes before the one for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.handoff.axolotl.common import KEYS, refuses, run, template, write_config
from engine.handoff.folder import Order
from engine.handoff.target import Cargo, Recipe, over_long


def config(cargo: Cargo) -> dict[str, Any]:
    """What stands in `sft.yaml`, to be read in the folder."""
    p, rendered = cargo.order.params, template(cargo)
    return {
        **run(cargo.order),
        "reinit_weights": p["init"] == "random",
        **rendered,
        "datasets": [_dataset(file, cargo.order) | rendered for file in cargo.files],
        "train_on_inputs": p["train_on"] == "all",
        **({"neftune_noise_alpha": p["neftune_alpha"]} if p["neftune_alpha"] else {}),
    }


def write(cargo: Cargo) -> str:
    """Write `sft.yaml`; returns the command."""
    return write_config(cargo, config(cargo))


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


def _notes(cargo: Cargo) -> Iterator[str]:
    yield (
        "axolotl finds the turns in its own way, and trains on the end of a turn only where it is the tokenizer's EOS; "
        "`axolotl preprocess sft.yaml --debug` shows its masks, to be compared with the examples of preflight.md"
    )
    if cargo.order.params["packing"]:
        yield "which rows share a pack, and so a step, is axolotl's own choice"


SFT = Recipe(
    keys=KEYS
    | {
        "format": "datasets.type",
        "train_on": "train_on_inputs, datasets.roles_to_train",
        "neftune_alpha": "neftune_noise_alpha",
        "init": "reinit_weights",
    },
    only={"format": ("conversation",), "optimizer": ("adamw",), "loss": ("token_mean",)},
    write=write,
    notes=_notes,
    refuses=refuses,
    lost_rows=over_long("drop", "truncate"),
)
