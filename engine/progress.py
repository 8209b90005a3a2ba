"""What a build is doing right now, as plain counters; whoever shows them reads them when it likes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum

from engine.calls import Tally


class State(StrEnum):
    """Where a step stands; the last six are how it can end."""

    WAITING = "waiting"
    RUNNING = "running"
    CACHED = "cached"
    BUILT = "built"
    INCOMPLETE = "incomplete"  # built, but some rows failed
    FAILED = "failed"
    SKIPPED = "skipped"  # something that it needs failed
    STOPPED = "stopped"  # of a round that the stop rule left out


@dataclass
class Progress:
    """One step's counters."""

    label: str
    state: State = State.WAITING
    rows: int | None = None  # rows to read
    done: int = 0
    unit: str = "rows"  # what is counted: a training counts its steps
    note: str = ""  # how a training goes
    detail: str = ""  # why it failed or was skipped
    tally: Tally = field(default_factory=Tally)
    started: float | None = None
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return 0.0 if self.started is None else (self.ended or time.time()) - self.started


class Monitor:
    """The counters of all steps of a build."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.steps = {name: Progress(label) for name, label in labels.items()}

    def start(self, name: str) -> Progress:
        """The step runs from now on."""
        step = self.steps[name]
        step.state, step.started = State.RUNNING, time.time()
        return step

    def end(self, name: str, state: State, detail: str = "") -> None:
        """The step has ended."""
        step = self.steps[name]
        step.state, step.detail, step.ended = state, detail, time.time()
