"""The training loop: windows of packs become optimiser steps. What a loss is, the objective knows."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from trainers.data.batches import Batch
from trainers.data.plan import Plan, Window
from trainers.loop.metrics import StepRecord, Work, peak_memory
from trainers.loop.objective import Floats, Objective, Report
from trainers.loop.optimizers import Optimizers
from trainers.model.sharding import gathered_later, is_sharded, whole

if TYPE_CHECKING:
    from accelerate import Accelerator


class TrainingError(Exception):
    """Training that can't go on; the message tells the step and what to do."""


@dataclass(frozen=True)
class Update:
    """One update of the weights, over all processes."""

    loss: float
    grad_norm: float
    """Before clipping."""
    hits: int
    nll: Floats
    """Of each of the window's rows, `[k]`, the sum over its targets."""
    stop: bool
    """Some process was told to stop."""


@dataclass(frozen=True)
class Step:
    """A step that was done."""

    record: StepRecord
    window: Window
    report: Report
    stop: bool
    """Some process was told to stop."""


@dataclass
class Trainer:
    """One training: what `steps` goes through."""

    accelerator: Accelerator
    model: Any
    """The policy, as accelerate wraps it."""
    optimizers: Optimizers
    objective: Objective
    work: Work

    @property
    def plan(self) -> Plan:
        """Which rows each step sees."""
        return self.objective.plan

    def steps(self, done: int, told_to_stop: Callable[[], bool]) -> Iterator[Step]:
        """Train from step `done` (0: the first) to the end, or to the end of a step in which a stop was asked for.

        Raises:
            TrainingError: loss or gradients aren't finite; the weights are as they were before that step.
        """
        for number in range(done, self.plan.steps):
            step = self._step(self.plan.window(number), told_to_stop)
            yield step
            if step.stop:
                return

    def _step(self, window: Window, told_to_stop: Callable[[], bool]) -> Step:
        began = time.perf_counter()
        done = self.update(window, self.objective.batches(self, window), told_to_stop)
        report = self.objective.report(window, done.nll)
        seconds = time.perf_counter() - began
        targets = int(report.n_tokens.sum())
        record = StepRecord(
            step=window.step + 1,
            epoch=(window.step + 1) / self.plan.steps_per_epoch,
            loss=done.loss,
            lr=self.plan.config.learning_rate * self.optimizers.rate(window.step),
            grad_norm=done.grad_norm,
            tokens=report.tokens,
            target_tokens=targets,
            accuracy=done.hits / max(targets, 1),
            seconds=seconds,
            tokens_per_s=report.tokens / seconds,
            mfu=self.work.mfu(report.tokens / seconds),
            peak_memory=peak_memory(self.accelerator.device),
            figures=report.figures,
        )
        return Step(record, window, report, done.stop)

    def update(self, window: Window, batches: list[Batch], told_to_stop: Callable[[], bool] = lambda: False) -> Update:
        """One update of the weights from this process's forward passes; an objective may ask for some within a step.

        Raises:
            TrainingError: loss or gradients aren't finite; the weights are as they were.
        """
        loss, hits, nll, stop = self._accumulate(window, batches, told_to_stop)
        norm = float(whole(self.accelerator.clip_grad_norm_(self.model.parameters(), self.plan.config.max_grad_norm)))
        self._check(window, loss, norm, nll)
        self.optimizers.step(window.step)
        return Update(loss, norm, hits, nll, stop)

    def _accumulate(
        self, window: Window, batches: list[Batch], told_to_stop: Callable[[], bool]
    ) -> tuple[float, int, Floats, bool]:
        """Gradients of the whole window; its loss, its hits, the NLL sum of each row, and whether to stop after it."""
        accelerator, device = self.accelerator, self.accelerator.device
        # One vector, so that processes meet once: loss, hits, requests to stop, and the rows
        sums = torch.zeros(3 + len(window.rows), dtype=torch.float64, device=device)
        for number, batch in enumerate((batch.to(device) for batch in batches), 1):
            with contextlib.nullcontext() if number == len(batches) else self._unsynced():
                scored = self.model(batch, self.objective)
                # Gradients are averaged over processes, and the weights are those of a sum
                accelerator.backward(scored.loss * accelerator.num_processes)
            sums[0] += scored.loss.detach()
            sums[1] += scored.hits.sum()
            sums.index_add_(0, 3 + batch.segments[batch.owners], scored.nll.double())
        sums[2] = told_to_stop()
        loss, hits, stop, *_ = total = accelerator.reduce(sums, "sum").cpu().numpy()
        return float(loss), int(hits), total[3:], bool(stop)

    def _unsynced(self) -> contextlib.AbstractContextManager[None]:
        """Within it gradients stay in their processes."""
        return gathered_later(self.model) if is_sharded(self.model) else self.accelerator.no_sync(self.model)

    def _check(self, window: Window, loss: float, norm: float, nll: Floats) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        bad = window.rows[~np.isfinite(nll)] if not np.isfinite(nll).all() else window.rows
        names = [str(self.plan.row_ids[int(row)]) for row in bad[:5]]
        raise TrainingError(
            f"step {window.step + 1}: loss is {loss}, gradient norm {norm}; rows {', '.join(names)}"
            f"{' and others' if len(bad) > 5 else ''}. Look at these rows, or lower learning_rate"
        )
