"""What the targets have in common that are built on transformers' `Trainer`: its arguments, and how a step is cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.handoff.folder import Order
from engine.handoff.target import OUT

MOST_ROWS = 8
"""Rows of a forward pass at most, where the hand-off doesn't say."""

SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""Our schedules, all of which warm up, by transformers' names."""

KEYS = {
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
    "report_to": "report_to",
}
"""Our parameters by transformers' names, as `arguments` writes them."""


def arguments(order: Order) -> dict[str, Any]:
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
        "report_to": p["report_to"],
        "output_dir": OUT,
    }


def batches(params: Mapping[str, Any]) -> tuple[int, int]:
    """Packs (or rows) of a forward pass, and forward passes of an optimiser step, in one process.

    Where the hand-off leaves it open: one pack, or as many rows, up to 8, as divide the batch.
    """
    size, micro = params["batch_size"], params["micro_batch_size"]
    if micro is None:
        micro = 1 if params["packing"] else next(n for n in range(min(size, MOST_ROWS), 0, -1) if size % n == 0)
    return micro, size // micro


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


def uneven(order: Order) -> Iterator[str]:
    """Refuse a step that is no whole number of forward passes, and a schedule that transformers doesn't have."""
    params = order.params
    micro, _ = batches(params)
    if params["batch_size"] % micro:
        yield f"batch_size: {params['batch_size']} is no multiple of micro_batch_size: {micro}: change one of them"
    if params["min_learning_rate"] and params["schedule"] == "linear":
        yield "min_learning_rate: of the schedules only cosine can end above 0: set schedule: cosine"


def bfloat16(order: Order) -> Iterator[str]:
    """Tell what becomes of a dtype that isn't said."""
    if order.params["dtype"] == "auto":
        yield "dtype: auto becomes bf16: true, which takes a GPU; for a CPU, order dtype: float32"
