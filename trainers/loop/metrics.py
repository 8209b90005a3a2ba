"""What a run leaves in numbers: a row per optimiser step, and a row per training row and epoch."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from trainers.loop.objective import Figures, Report

PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense bfloat16 operations per second, by a word of the GPU's name."""


@dataclass(frozen=True)
class StepRecord:
    """One optimiser step, over all processes."""

    step: int
    """From 1."""
    epoch: float
    """Passes over the data when the step was done."""
    loss: float
    lr: float
    grad_norm: float
    """Before clipping."""
    tokens: int
    target_tokens: int
    accuracy: float
    """Share of targets that were the likeliest token."""
    seconds: float
    tokens_per_s: float
    mfu: float | None
    peak_memory: int
    """Bytes at the peak so far, of the GPU where there is one, else of the process."""
    figures: Figures = field(default_factory=dict)
    """The objective's own."""

    def flat(self) -> dict[str, Any]:
        """As a row of `train_steps`: the figures are columns of their own."""
        record = vars(self).copy()
        return {**record, **record.pop("figures")}


_TYPES = {"int": pa.int64(), "float": pa.float64(), "float | None": pa.float64()}
STEPS = [(field.name, _TYPES[str(field.type)]) for field in fields(StepRecord) if field.name != "figures"]


class Metrics:
    """Both tables, as they grow."""

    def __init__(self, rows: pa.Schema, figures: tuple[str, ...] = ()) -> None:
        self.row_schema = rows
        self.step_schema = pa.schema([*STEPS, *((name, pa.float64()) for name in figures)])
        self.steps: list[StepRecord] = []
        self.rows: list[pa.Table] = []

    def add(self, record: StepRecord, epoch: int, report: Report) -> None:
        """Note a step and what its rows gave."""
        self.steps.append(record)
        count = len(report.row_ids)
        known = {
            "row_id": report.row_ids,
            "epoch": pa.array(np.full(count, epoch)),
            "step": pa.array(np.full(count, record.step)),
            "n_tokens": pa.array(report.n_tokens),
            **report.columns,
        }
        columns = [known[field.name].cast(field.type) for field in self.row_schema]
        self.rows.append(pa.table(columns, schema=self.row_schema))

    def write(self, folder: Path) -> None:
        """`train_metrics.parquet` and `train_steps.parquet`, each whole or not at all."""
        tables = {
            "train_metrics": pa.concat_tables(self.rows) if self.rows else self.row_schema.empty_table(),
            "train_steps": pa.Table.from_pylist([record.flat() for record in self.steps], self.step_schema),
        }
        for name, table in tables.items():
            partial = folder / f".{name}.partial"
            pq.write_table(table, partial)
            partial.replace(folder / f"{name}.parquet")

    def read(self, folder: Path) -> None:
        """Go on from what `write` wrote."""
        self.rows = [pq.read_table(folder / "train_metrics.parquet", schema=self.row_schema)]
        own = {name for name, _ in STEPS}
        for row in pq.read_table(folder / "train_steps.parquet").to_pylist():
            figures = {name: value for name, value in row.items() if name not in own}
            self.steps.append(StepRecord(**{name: row[name] for name in own}, figures=figures))


class Work:
    """Model FLOPs of a token, forward and backward, and so the share of the hardware's peak that a rate means.

    `6 N + 6 L d s`, with `N` parameters without embeddings and head, `L` layers of width `d`, and `s` the mean length
    of a sample, halved by causality (PaLM, arXiv 2204.02311, appendix B). Recomputed activations don't count.
    """

    def __init__(self, model: Any, mean_length: float, device: torch.device, processes: int) -> None:
        shape = model.config.get_text_config()
        outside = {id(part.weight) for part in (model.get_input_embeddings(), model.get_output_embeddings())}
        inside = sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in outside)
        self.token_flops = 6 * inside + 6 * shape.num_hidden_layers * shape.hidden_size * mean_length
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        peak = next((flops for word, flops in PEAK_FLOPS.items() if word in name), None)
        self.peak = peak * processes if peak else None

    def mfu(self, tokens_per_s: float) -> float | None:
        """Share of the peak, or None where the peak isn't known."""
        return tokens_per_s * self.token_flops / self.peak if self.peak else None


def peak_memory(device: torch.device) -> int:
    """Bytes at the peak so far: of the GPU where there is one, else of the process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
