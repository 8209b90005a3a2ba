"""How a training speaks while it runs: to a program or a reader, to `log.jsonl`, and to trackers that are asked for."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from trainers.loop.metrics import StepRecord

if TYPE_CHECKING:
    from accelerate import Accelerator

EVERY = 10.0
"""Seconds between lines where no terminal is there to be overwritten."""

BAR = 24
"""Characters of the progress bar."""

FILE = "log.jsonl"
"""In the output folder: a line for every event, those of a run that went on after those of the run before."""


class Log:
    """Speaks in the first process alone: JSON lines on standard output, or words on standard error."""

    def __init__(self, accelerator: Accelerator, out: Path, *, json_lines: bool = False) -> None:
        self.accelerator, self.json_lines = accelerator, json_lines
        self.terminal, self.spoken = sys.stderr.isatty(), 0.0
        self.file: IO[str] | None = (out / FILE).open("a", encoding="utf-8") if accelerator.is_main_process else None

    def start(self, **facts: Any) -> None:
        """What is going to be trained."""
        self._say("start", facts)

    def done(self, **facts: Any) -> None:
        """What came of it; nothing is said after it."""
        self._say("done", facts)
        self.accelerator.end_training()

    def stopped(self, **facts: Any) -> None:
        """Where it was told to stop; nothing is said after it."""
        self._say("stopped", facts)
        self.accelerator.end_training()

    def warning(self, message: str) -> None:
        """Something that will end badly if nobody looks at it."""
        self._say("warning", {"message": message})

    def step(self, record: StepRecord, steps: int) -> None:
        """A step is done."""
        figures = record.flat()
        self.accelerator.log({name: value for name, value in figures.items() if value is not None}, record.step)
        self._write({"event": "step", "steps": steps, **figures})
        if self.json_lines or not self.file:
            return
        if self.terminal or record.step == steps or time.monotonic() - self.spoken >= EVERY:
            self.spoken = time.monotonic()
            end = "\n" if not self.terminal or record.step == steps else ""
            sys.stderr.write(
                f"\r\x1b[K{_line(record, steps)}{end}" if self.terminal else f"{_line(record, steps)}{end}"
            )
            sys.stderr.flush()

    def _say(self, event: str, facts: dict[str, Any]) -> None:
        self._write({"event": event, **facts})
        if self.file and not self.json_lines:
            told = ", ".join(f"{name.replace('_', ' ')} {_spoken(value)}" for name, value in facts.items())
            sys.stderr.write(f"{event}: {told}\n")

    def _write(self, record: dict[str, Any]) -> None:
        if self.file:
            line = json.dumps(record) + "\n"
            self.file.write(line)
            self.file.flush()
            if self.json_lines:
                sys.stdout.write(line)
                sys.stdout.flush()


def _line(record: StepRecord, steps: int) -> str:
    """A step in words, behind a bar."""
    bar = ("#" * (BAR * record.step // steps)).ljust(BAR, ".")
    mfu = "" if record.mfu is None else f"  MFU {record.mfu:.0%}"
    return (
        f"[{bar}] {record.step}/{steps}  epoch {record.epoch:.2f}  loss {record.loss:.4f}  lr {record.lr:.2e}  "
        f"norm {record.grad_norm:.2f}  {record.tokens_per_s:,.0f} tokens/s{mfu}  {record.peak_memory / 2**30:.1f} GiB"
    )


def _spoken(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
