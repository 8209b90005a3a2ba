"""How a training speaks while it runs: JSON lines for a program, a line now and then for a reader."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from trainers.loop.metrics import StepRecord

EVERY = 10.0
"""Seconds between lines where no terminal is there to be overwritten."""


class Console:
    """Writes to standard output as JSON lines, or to standard error in words; silent in all processes but the first."""

    def __init__(self, *, json_lines: bool, first: bool) -> None:
        self.json_lines, self.first = json_lines, first
        self.terminal = sys.stderr.isatty()
        self.spoken = 0.0

    def start(self, **facts: Any) -> None:
        """What is going to be trained."""
        self._say("start", facts)

    def done(self, **facts: Any) -> None:
        """What came of it."""
        self._say("done", facts)

    def stopped(self, **facts: Any) -> None:
        """Where it was told to stop."""
        self._say("stopped", facts)

    def step(self, record: StepRecord, steps: int) -> None:
        """A step is done."""
        if self.json_lines:
            self._write({"event": "step", "steps": steps, **record.flat()})
        elif self.first and (self.terminal or record.step == steps or time.monotonic() - self.spoken >= EVERY):
            self.spoken = time.monotonic()
            line = (
                f"step {record.step}/{steps}  epoch {record.epoch:.2f}  loss {record.loss:.4f}  "
                f"lr {record.lr:.2e}  norm {record.grad_norm:.2f}  {record.tokens_per_s:,.0f} tokens/s"
            )
            end = "\n" if not self.terminal or record.step == steps else ""
            sys.stderr.write(f"\r\x1b[K{line}{end}" if self.terminal else f"{line}{end}")
            sys.stderr.flush()

    def _say(self, event: str, facts: dict[str, Any]) -> None:
        if self.json_lines:
            self._write({"event": event, **facts})
        elif self.first:
            told = ", ".join(f"{name.replace('_', ' ')} {_spoken(value)}" for name, value in facts.items())
            sys.stderr.write(f"{event}: {told}\n")

    def _write(self, record: dict[str, Any]) -> None:
        if self.first:
            sys.stdout.write(json.dumps(record) + "\n")
            sys.stdout.flush()


def _spoken(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
