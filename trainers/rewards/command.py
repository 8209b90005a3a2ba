"""A program of one's own as a reward: JSON lines in, JSON lines out, as long as the training runs.

It reads `{"id", "prompt", "response"}` and answers `{"id", "rewards": {name: number or null}}`, in any order; the
prompt is a text or a list of messages, as the data has it. So may any language, and any scorer, give rewards.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from trainers.rewards.reward import Answers, Floats, RewardError, require

PATIENCE = 10.0
"""Seconds that a program has to end once its input has."""


class Command:
    """One or more rewards by a program, which is started with the first answers."""

    def __init__(self, names: Sequence[str], command: Sequence[str], timeout_s: float = 600) -> None:
        """`timeout_s`: how long it may be silent while answers are due."""
        listed = all(isinstance(part, list | tuple) and part for part in (names, command))
        require(listed and all(map(_is_text, [*names, *command])), "names and command must be lists of texts")
        require(timeout_s > 0, f"timeout_s is {timeout_s!r}: it must be above 0")
        self.names, self.command, self.timeout_s = tuple(names), tuple(command), timeout_s

    def __call__(self, answers: Answers) -> Floats:
        """See `Reward`.

        Raises:
            RewardError: it has ended, is silent, or says what can't be understood.
        """
        process, lines = self._process
        places = {row_id: place for place, row_id in enumerate(answers.ids)}
        # In a thread of its own: a program that answers at once fills one pipe while it doesn't empty the other
        writer = threading.Thread(target=_ask, args=(process, answers), daemon=True)
        writer.start()
        found, due = np.full((len(places), len(self.names)), np.nan), set(places)
        while due:
            row_id, numbers = self._understood(self._next(process, lines, len(due)))
            if row_id not in due:
                raise RewardError(f"{self._called} answers for {row_id!r}, which isn't due")
            due.remove(row_id)
            found[places[row_id]] = numbers
        writer.join()
        return found

    def close(self) -> None:
        """End the program, by the end of its input, or else by force."""
        if "_process" not in self.__dict__:
            return
        process = self._process[0]
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        del self.__dict__["_process"]

    @property
    def _called(self) -> str:
        return f"the reward command {' '.join(self.command)!r}"

    @cached_property
    def _process(self) -> tuple[subprocess.Popen[str], queue.Queue[str | None]]:
        try:
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the trainer, which still finishes its step with these rewards
            )
        except OSError as error:
            raise RewardError(f"{self._called} can't be started: {error}") from error
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_listen, args=(process, lines), daemon=True).start()
        return process, lines

    def _next(self, process: subprocess.Popen[str], lines: queue.Queue[str | None], due: int) -> str:
        try:
            line = lines.get(timeout=self.timeout_s)
        except queue.Empty:
            raise RewardError(f"{self._called} is silent for {self.timeout_s:g} s, and {due} answers are due") from None
        if line is None:
            raise RewardError(f"{self._called} ended with {process.wait()}, and {due} answers are due")
        return line

    def _understood(self, line: str) -> tuple[str, list[float]]:
        try:
            said = json.loads(line)
            rewards = {name: said["rewards"].get(name) for name in self.names}
            return said["id"], [float("nan") if value is None else _number(value) for value in rewards.values()]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise RewardError(f"{self._called} says {line[:200].rstrip()!r}, which isn't an answer") from None


def _ask(process: subprocess.Popen[str], answers: Answers) -> None:
    """Write what is asked of the program."""
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):  # it has ended: whoever waits for its answers says so
        for row_id, prompt, response in zip(answers.ids, answers.prompts, answers.responses, strict=True):
            asked = {"id": row_id, "prompt": prompt, "response": response}
            process.stdin.write(json.dumps(asked, ensure_ascii=False) + "\n")
        process.stdin.flush()


def _listen(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Hand on what the program says, and at its end None."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.strip():
                lines.put(line)
    lines.put(None)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
