"""`trl sft`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.handoff.folder import Order
from engine.handoff.hugging_face import bfloat16, uneven
from engine.handoff.target import Cargo, Recipe, over_long, plain_template, write_template, write_yaml
from engine.handoff.trl.common import KEYS, model_and_rows, run


def config(cargo: Cargo) -> dict[str, Any]:
    """What stands in `sft.yaml`, to be read in the folder."""
    p = cargo.order.params
    talk, answers = p["format"] == "conversation", p["train_on"] == "assistant"
    template = write_template(cargo)
    return {
        **model_and_rows(cargo),
        **({"chat_template_path": template} if template else {}),
        "assistant_only_loss" if talk else "completion_only_loss": answers,
        "packing": p["packing"],
        **({"packing_strategy": "bfd"} if p["packing"] else {}),
        "loss_type": "nll",
        **({"neftune_noise_alpha": p["neftune_alpha"]} if p["neftune_alpha"] else {}),
        **run(cargo.order),
    }


def write(cargo: Cargo) -> str:
    """Write `sft.yaml`; returns the command."""
    write_yaml(cargo, config(cargo))
    return f"trl sft --config {cargo.config}"


def _refuses(order: Order) -> Iterator[str]:
    yield from uneven(order)
    yield from plain_template(order)


def _notes(cargo: Cargo) -> Iterator[str]:
    yield from bfloat16(cargo.order)
    if cargo.report["masking"] == "prefix":
        yield (
            "the chat template has no generation markers, which TRL masks by: it takes a template of its own for the "
            "families that it knows, and refuses to start for others. Give a marked one by chat_template to be sure"
        )
    if cargo.order.params["packing"]:
        yield "which rows share a pack, and so a step, is TRL's own choice"


SFT = Recipe(
    keys=KEYS
    | {
        "format": "datasets.columns",
        "train_on": "assistant_only_loss, completion_only_loss",
        "packing": "packing",
        "over_long": "truncation_mode",
        "loss": "loss_type",
        "neftune_alpha": "neftune_noise_alpha",
        "chat_template": "chat_template_path",
    },
    only={
        "format": ("conversation", "completion"),
        "optimizer": ("adamw",),
        "loss": ("token_mean",),
        "init": ("pretrained",),
    },
    write=write,
    notes=_notes,
    refuses=_refuses,
    lost_rows=over_long("truncate"),
)
