"""What the targets have in common that train on pairs of answers, and what can go wrong with pairs there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.handoff.folder import Order
from engine.handoff.target import Cargo

SIDES = ("chosen", "rejected")

ONLY: dict[str, tuple[Any, ...]] = {
    "optimizer": ("adamw",),
    "packing": (False,),
    "reference": ("live",),
    "share_prompt": (False,),
    "init": ("pretrained",),
}
"""What no target but native can have otherwise. None packs pairs, so a batch is counted in pairs."""

TRL_LOSSES = ("sigmoid", "robust", "hinge", "ipo", "sigmoid_norm")
"""Losses of TRL's `DPOTrainer` that are what we mean by their names, with beta and label_smoothing as ours."""

UNSOUND = ("same_answers", "empty_answer")
"""Codes of the pre-flight for pairs that `bad_pairs: drop` leaves out."""


def trl_losses(order: Order) -> tuple[list[str], list[float]]:
    """The losses of TRL's `DPOTrainer` and their weights: the chosen answer's NLL is one of them where it counts."""
    weight = order.params["sft_weight"]
    return ([order.params["loss"], "sft"], [1.0, weight]) if weight else ([order.params["loss"]], [1.0])


def trl_sft_term(cargo: Cargo) -> Iterator[str]:
    """Note what TRL's `DPOTrainer` takes the chosen answer's NLL over."""
    if cargo.order.params["sft_weight"]:
        yield "the SFT term is the mean over the tokens of a forward pass, not of the whole step"


def unsound(cargo: Cargo) -> Iterator[str]:
    """Refuse pairs that the pre-flight has found fit to be dropped: no target looks at them."""
    count = sum(found["count"] for found in cargo.report["warnings"] if found["code"] in UNSOUND)
    if count:
        yield (
            f"{count} pairs have equal answers or an empty one, and the target does not drop them: "
            "leave them out by a filter"
        )


def long_answers(cargo: Cargo) -> Iterator[str]:
    """Refuse answers of several turns, for a target that takes one message."""
    count = sum(_several(pq.read_table(cargo.folder / file, columns=list(SIDES))) for file in cargo.files)
    if count:
        yield f"{count} pairs have an answer of several turns, and the target takes one: hand over to native or trl"


def _several(pairs: pa.Table) -> int:
    lengths = [pc.greater(pc.list_value_length(pairs[side]), 1) for side in SIDES]
    return int(pc.sum(pc.or_(*lengths)).as_py() or 0)


def write_single(cargo: Cargo, name: str) -> None:
    """Write the pairs once more, into a folder of their own, with each answer as one message instead of a list."""
    (cargo.folder / name).mkdir(exist_ok=True)
    for file in cargo.files:
        table = pq.read_table(cargo.folder / file)
        for side in SIDES:
            answers = pc.list_element(table[side], 0)
            table = table.set_column(table.schema.get_field_index(side), side, answers)
        pq.write_table(table, cargo.folder / name / file.rpartition("/")[2], compression="zstd")
