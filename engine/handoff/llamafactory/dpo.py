"""LLaMA-Factory's stage `dpo`: it takes each answer as one message, where our rows have a list of messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.handoff import pairs
from engine.handoff.folder import Order
from engine.handoff.hugging_face import bfloat16
from engine.handoff.llamafactory.common import KEYS, OWN_TEMPLATE, described, refuses, run, write_files
from engine.handoff.target import Cargo, Recipe, over_long

SINGLE = "ranking"
"""The folder of the pairs in the form that it takes."""

LOSSES = {"sigmoid": "sigmoid", "cdpo": "sigmoid", "hinge": "hinge", "ipo": "ipo", "simpo": "simpo", "orpo": "orpo"}
"""Our losses by its names: with `dpo_label_smoothing` its sigmoid is cDPO, and the weight of orpo is its beta."""


def config(order: Order) -> dict[str, Any]:
    """What stands in `dpo.yaml`, to be read in the folder."""
    p = order.params
    return {
        "stage": "dpo",
        **run(order),
        "cutoff_len": p["max_length"],
        "pref_loss": LOSSES[p["loss"]],
        "pref_beta": p["lambda_or"] if p["loss"] == "orpo" else p["beta"],
        "pref_ftx": p["sft_weight"],
        "dpo_label_smoothing": p["label_smoothing"],
        "simpo_gamma": p["gamma"],
    }


def write(cargo: Cargo) -> str:
    """Write the files and the pairs; returns the command."""
    pairs.write_single(cargo, SINGLE)
    columns = {"messages": "prompt", "chosen": "chosen", "rejected": "rejected"}
    return write_files(cargo, described(SINGLE, columns) | {"ranking": True}, config(cargo.order))


def _lost_rows(cargo: Cargo) -> Iterator[str]:
    yield from over_long()(cargo)
    yield from pairs.unsound(cargo)
    yield from pairs.long_answers(cargo)


def _notes(cargo: Cargo) -> Iterator[str]:
    yield OWN_TEMPLATE
    yield "a prompt that doesn't go user, assistant, user is left out with a warning"
    yield from bfloat16(cargo.order)
    if cargo.order.params["sft_weight"]:
        yield "the SFT term is the mean over pairs of each one's mean over its tokens, not the mean over all tokens"


DPO = Recipe(
    keys=KEYS
    | {
        "loss": "pref_loss",
        "beta": "pref_beta",
        "label_smoothing": "dpo_label_smoothing",
        "gamma": "simpo_gamma",
        "lambda_or": "pref_beta",
        "sft_weight": "pref_ftx",
    },
    only=pairs.ONLY | {"loss": tuple(LOSSES), "reference": ("live", "none")},
    write=write,
    notes=_notes,
    refuses=refuses,
    lost_rows=_lost_rows,
)
