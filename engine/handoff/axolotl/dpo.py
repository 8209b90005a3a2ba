"""axolotl's `rl: dpo`, which is TRL's trainer behind axolotl's own way of writing the texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.handoff import pairs
from engine.handoff.axolotl.common import KEYS, refuses, run, template, write_config
from engine.handoff.target import Cargo, Recipe, over_long


def config(cargo: Cargo) -> dict[str, Any]:
    """What stands in `dpo.yaml`, to be read in the folder."""
    p = cargo.order.params
    losses, weights = pairs.trl_losses(cargo.order)
    return {
        **run(cargo.order),
        "rl": "dpo",
        "rl_beta": p["beta"],
        "dpo_loss_type": losses,
        "dpo_loss_weights": weights,
        "dpo_label_smoothing": p["label_smoothing"],
        **template(cargo),
        "datasets": [_dataset(file) for file in cargo.files],
    }


def write(cargo: Cargo) -> str:
    """Write `dpo.yaml`; returns the command."""
    return write_config(cargo, config(cargo))


def _dataset(file: str) -> dict[str, Any]:
    fields = {"field_messages": "prompt", "field_chosen": "chosen", "field_rejected": "rejected"}
    return {"path": file, "split": "train", "type": "chat_template.default", **fields}


def _lost_rows(cargo: Cargo) -> Iterator[str]:
    yield from over_long("drop")(cargo)
    yield from pairs.unsound(cargo)
    yield from pairs.long_answers(cargo)


def _notes(cargo: Cargo) -> Iterator[str]:
    yield (
        "axolotl renders prompt and answers apart, takes the white space off the end of an answer, and adds the "
        "tokenizer's EOS where an answer doesn't end with it; compare with the examples of preflight.md"
    )
    yield from pairs.trl_sft_term(cargo)


DPO = Recipe(
    keys=KEYS
    | {
        "loss": "dpo_loss_type",
        "beta": "rl_beta",
        "label_smoothing": "dpo_label_smoothing",
        "sft_weight": "dpo_loss_type, dpo_loss_weights",
    },
    only=pairs.ONLY | {"loss": pairs.TRL_LOSSES},
    write=write,
    notes=_notes,
    refuses=refuses,
    lost_rows=_lost_rows,
)
