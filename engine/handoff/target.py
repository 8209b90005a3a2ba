"""What the targets of a hand-off have in common: what a target is and can refuse, and how it is told of batches.

Each target stands in a file of its own: `native`, `trl`, `llamafactory`, `axolotl`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.handoff.folder import Order

CONFIG = "sft.yaml"
"""The configuration of a target that has one."""

TEMPLATE = "chat_template.jinja"
"""Where a chat template stands that replaces the base's own."""

OUT = "out"
"""Where a target trains to, within the folder."""

MOST_ROWS = 8
"""Rows of a forward pass at most, where the hand-off doesn't say."""


@dataclass(frozen=True)
class Cargo:
    """A folder whose data is written and has passed the pre-flight, as a target gets to see it."""

    order: Order
    folder: Path
    files: tuple[str, ...]  # of the data, within the folder
    report: Mapping[str, Any]  # the pre-flight's


@dataclass(frozen=True)
class Target:
    """What trains a folder.

    `keys` says for each parameter what it is called there, and `only` which of its values the target can have (all,
    where it says nothing). Of rows that are too long it does what stands in `over_long`. `write` puts the target's
    files beside the data and returns the command to run in the folder; `notes` tell what it does in another way.
    """

    name: str
    keys: Mapping[str, str]
    write: Callable[[Cargo], str]
    only: Mapping[str, tuple[Any, ...]]
    over_long: tuple[str, ...]
    notes: Callable[[Cargo], Iterator[str]]
    refuses: Callable[[Order], Iterator[str]] = lambda _: iter(())

    def refusals(self, order: Order) -> list[str]:
        """Why the target can't train as it is ordered, before anything is written; each reason with its cure."""
        found = [
            f"{name} is {order.params[name]}, and {self.name} knows only {' and '.join(map(str, values))}: "
            "change it, or hand over to native"
            for name, values in self.only.items()
            if order.params[name] not in values
        ]
        return [*found, *self.refuses(order)]

    def lost_rows(self, cargo: Cargo) -> list[str]:
        """Whether rows are too long and the target would not do with them what is ordered."""
        ordered, count = cargo.order.params["over_long"], cargo.report["over_long"]
        if not count or ordered in self.over_long:
            return []
        return [
            f"{count} rows are longer than max_length, and {self.name} has no over_long: {ordered}: "
            "leave them out by a filter, or raise max_length"
        ]


def batches(params: Mapping[str, Any]) -> tuple[int, int]:
    """Packs (or rows) of a forward pass, and forward passes of an optimiser step, in one process.

    Where the hand-off leaves it open: one pack, or as many rows, up to 8, as divide the batch.
    """
    size, micro = params["batch_size"], params["micro_batch_size"]
    if micro is None:
        micro = 1 if params["packing"] else next(n for n in range(min(size, MOST_ROWS), 0, -1) if size % n == 0)
    return micro, size // micro


def uneven(order: Order) -> Iterator[str]:
    """Refuse a step that is no whole number of forward passes, and a schedule that transformers doesn't have."""
    params = order.params
    micro, _ = batches(params)
    if params["batch_size"] % micro:
        yield f"batch_size: {params['batch_size']} is no multiple of micro_batch_size: {micro}: change one of them"
    if params["min_learning_rate"] and params["schedule"] == "linear":
        yield "min_learning_rate: of the schedules only cosine can end above 0: set schedule: cosine"


def plain_template(order: Order) -> Iterator[str]:
    """Refuse the template that only Setwright's own trainers know by its name."""
    if order.params["chat_template"] == "plain":
        yield "chat_template: plain is known to Setwright's own trainers alone: write the template out"


def template_of(order: Order) -> str | None:
    """The chat template that replaces the base's own."""
    template: str | None = order.params["chat_template"] or order.base.chat_template
    return template


def write_template(cargo: Cargo) -> str | None:
    """Write the chat template that replaces the base's own, if one does; returns its path within the folder."""
    template = template_of(cargo.order)
    if template is None:
        return None
    (cargo.folder / TEMPLATE).write_text(template, encoding="utf-8")
    return TEMPLATE


def hugging_face(order: Order) -> dict[str, Any]:
    """What every user of transformers' `Trainer` takes by the names of its `TrainingArguments`."""
    p = order.params
    micro, accumulated = batches(p)
    return {
        "num_train_epochs": p["epochs"],
        "max_steps": p["max_steps"] or -1,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": accumulated,
        "learning_rate": p["learning_rate"],
        **_schedule(p),
        "optim": "adamw_torch",
        "weight_decay": p["weight_decay"],
        "adam_beta1": p["betas"][0],
        "adam_beta2": p["betas"][1],
        "max_grad_norm": p["max_grad_norm"],
        "bf16": p["dtype"] != "float32",
        "seed": order.seed,
        **saving(p),
        "report_to": "none",
        "output_dir": OUT,
    }


def saving(params: Mapping[str, Any]) -> dict[str, Any]:
    """When to write checkpoints, and how many to keep."""
    every = params["save_steps"]
    when = {"save_strategy": "steps", "save_steps": every} if every else {"save_strategy": "no"}
    return {**when, "save_total_limit": params["keep_checkpoints"]}


def _schedule(params: Mapping[str, Any]) -> dict[str, Any]:
    if params["schedule"] == "cosine" and params["min_learning_rate"]:
        floor = {"min_lr": params["min_learning_rate"]}
        return {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": floor}
    return {"lr_scheduler_type": SCHEDULES[params["schedule"]]}


SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""Our schedules, all of which warm up, by transformers' names."""

HUGGING_FACE = {
    "epochs": "num_train_epochs",
    "max_steps": "max_steps",
    "learning_rate": "learning_rate",
    "schedule": "lr_scheduler_type",
    "min_learning_rate": "lr_scheduler_kwargs.min_lr",
    "optimizer": "optim",
    "weight_decay": "weight_decay",
    "betas": "adam_beta1, adam_beta2",
    "max_grad_norm": "max_grad_norm",
    "batch_size": "gradient_accumulation_steps",
    "micro_batch_size": "per_device_train_batch_size",
    "dtype": "bf16",
    "save_steps": "save_strategy, save_steps",
    "keep_checkpoints": "save_total_limit",
}
"""Our parameters by transformers' names, as `hugging_face` writes them."""
