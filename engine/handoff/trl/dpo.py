"""`trl dpo`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.handoff import pairs
from engine.handoff.folder import Order
from engine.handoff.hugging_face import bfloat16, uneven
from engine.handoff.target import Cargo, Recipe, other_template, over_long, write_yaml
from engine.handoff.trl.common import KEYS, model_and_rows, run


def config(cargo: Cargo) -> dict[str, Any]:
    """What stands in `dpo.yaml`, to be read in the folder."""
    p = cargo.order.params
    losses, weights = pairs.trl_losses(cargo.order)
    return {
        **model_and_rows(cargo),
        "loss_type": losses,
        "loss_weights": weights,
        "beta": p["beta"],
        "label_smoothing": p["label_smoothing"],
        **run(cargo.order),
    }


def write(cargo: Cargo) -> str:
    """Write `dpo.yaml`; returns the command."""
    write_yaml(cargo, config(cargo))
    return f"trl dpo --config {cargo.config}"


def _refuses(order: Order) -> Iterator[str]:
    yield from uneven(order)
    yield from other_template(order)


def _lost_rows(cargo: Cargo) -> Iterator[str]:
    yield from over_long()(cargo)
    yield from pairs.unsound(cargo)


def _notes(cargo: Cargo) -> Iterator[str]:
    yield from bfloat16(cargo.order)
    yield from pairs.trl_sft_term(cargo)


DPO = Recipe(
    keys=KEYS
    | {
        "loss": "loss_type",
        "beta": "beta",
        "label_smoothing": "label_smoothing",
        "sft_weight": "loss_type, loss_weights",
    },
    only=pairs.ONLY | {"loss": pairs.TRL_LOSSES},
    write=write,
    notes=_notes,
    refuses=_refuses,
    lost_rows=_lost_rows,
)
