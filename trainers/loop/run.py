"""One run of a trainer in its output folder: where it goes on from, its checkpoints, its signals, its metrics."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trainers.loop import checkpoint
from trainers.loop.log import Log
from trainers.loop.metrics import Metrics
from trainers.loop.steps import Trainer
from trainers.loop.watch import Watch
from trainers.model.policy import Policy
from trainers.model.sharding import whole


class Run:
    """A trainer at work in `out`, from its newest checkpoint on if there is one.

    Raises:
        HandoffError: the checkpoint is of another training.
    """

    def __init__(self, trainer: Trainer, policy: Policy, identity: dict[str, Any], out: Path, log: Log) -> None:
        self.trainer, self.policy, self.identity, self.out, self.log = trainer, policy, identity, out, log
        self.accelerator, self.config = trainer.accelerator, trainer.plan.config
        objective = trainer.objective
        self.metrics, self.done = Metrics(objective.rows, objective.figures), 0
        self.watch = Watch(objective, log)
        found = checkpoint.newest(out)
        if found:
            self.done = checkpoint.read_record(found, identity)
            checkpoint.load(found, self.accelerator.process_index, policy, trainer.optimizers, self.metrics)

    def go_on(self) -> bool:
        """Train to the end, or until told to stop; whether it came to the end."""
        plan, stop = self.trainer.plan, threading.Event()
        with _heeding(signal.SIGTERM, signal.SIGINT, told=stop.set):
            for step in self.trainer.steps(self.done, stop.is_set):
                self.metrics.add(step.record, step.window.epoch, step.report)
                self.log.step(step.record, plan.steps)
                self.watch.look(self.metrics.steps)
                self.done = step.record.step
                due = self.config.save_steps and self.done % self.config.save_steps == 0
                if (step.stop or due) and self.done < plan.steps:
                    self._save()
        if self.done < plan.steps:
            self.log.stopped(step=self.done, checkpoint=str(checkpoint.folder_of(self.out, self.done)))
        return self.done == plan.steps

    def _save(self) -> None:
        partial, first = checkpoint.partial_of(self.out, self.done), self.accelerator.is_main_process
        if first:
            checkpoint.begin(partial)
        self.accelerator.wait_for_everyone()
        checkpoint.save_process(partial, self.accelerator.process_index)
        weights, states = checkpoint.weights(self.policy), whole(self.trainer.optimizers.state())
        self.accelerator.wait_for_everyone()
        if first:
            record = {"step": self.done, "identity": self.identity}
            checkpoint.save_shared(partial, weights, states, self.metrics, record)
            checkpoint.finish(partial, self.out, self.done, self.config.keep_checkpoints)
        self.accelerator.wait_for_everyone()


@contextlib.contextmanager
def _heeding(*signals: signal.Signals, told: Callable[[], None]) -> Iterator[None]:
    """While this lasts, these signals only tell, and end nothing."""
    before = {number: signal.signal(number, lambda *_: told()) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
