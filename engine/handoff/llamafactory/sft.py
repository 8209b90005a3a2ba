"""LLaMA-Factory's stage `sft`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.handoff.folder import Order
from engine.handoff.hugging_face import bfloat16
from engine.handoff.llamafactory.common import KEYS, OWN_TEMPLATE, described, refuses, run, write_files
from engine.handoff.target import Cargo, Recipe, over_long


def config(order: Order) -> dict[str, Any]:
    """What stands in `sft.yaml`, to be read in the folder.

    With packing LLaMA-Factory takes one off `cutoff_len`, and drops the rows that are longer than the rest.
    """
    p = order.params
    return {
        "stage": "sft",
        **run(order),
        "train_from_scratch": p["init"] == "random",
        "cutoff_len": p["max_length"] + (1 if p["packing"] else 0),
        "packing": p["packing"],
        "neat_packing": p["packing"],
        "train_on_prompt": p["train_on"] == "all",
        "mask_history": False,
        **({"neftune_noise_alpha": p["neftune_alpha"]} if p["neftune_alpha"] else {}),
    }


def write(cargo: Cargo) -> str:
    """Write the files; returns the command."""
    return write_files(cargo, described("data", {"messages": "messages"}), config(cargo.order))


def _notes(cargo: Cargo) -> Iterator[str]:
    yield OWN_TEMPLATE
    yield "a talk that doesn't go user, assistant, user, assistant is left out with a warning"
    yield from bfloat16(cargo.order)
    if cargo.order.params["packing"]:
        yield "which rows share a pack, and so a step, is LLaMA-Factory's own choice"


SFT = Recipe(
    keys=KEYS
    | {
        "format": "formatting",
        "train_on": "train_on_prompt",
        "packing": "packing, neat_packing",
        "neftune_alpha": "neftune_noise_alpha",
        "init": "train_from_scratch",
    },
    only={"format": ("conversation",), "optimizer": ("adamw",), "loss": ("token_mean",)},
    write=write,
    notes=_notes,
    refuses=refuses,
    lost_rows=over_long(),
)
