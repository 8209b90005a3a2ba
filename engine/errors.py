"""The errors that a user sees: what is wrong, where, and the cure; and the exit codes of the command line.

Only the shapes of errors live here. Nothing in this module reads files or decides when to fail.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the command line returns (documented in the README)."""

    DONE = 0
    FAILURES = 1  # finished, with failing rows or data tests
    USAGE = 2  # wrong usage, a bad spec, or a crash
    BUDGET = 3  # stopped at a budget
    INTERRUPTED = 130


class SetwrightError(Exception):
    """An error that ends a command. `cure` says what to do about it and is printed under the message."""

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, message: str, *, cure: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return self.message if self.cure is None else f"{self.message}\n  cure: {self.cure}"


@dataclass(frozen=True, order=True)
class Place:
    """A place in a text file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec: `specs/x.yaml:14:7: tables.curated.params.bugdet: unknown parameter`."""

    place: Place
    path: str  # dotted path in the document, "" for the document itself
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.path}: {self.message}" if self.path else f"{self.place}: {self.message}"


class SpecError(SetwrightError):
    """Everything that is wrong with a spec, in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems), key=lambda p: (p.place, p.path, p.message))
        super().__init__("\n".join(str(p) for p in self.problems))


@dataclass(frozen=True)
class BadRecord:
    """A record of a source that can't be read. `record` counts from 1 within its file (a line of JSONL, a row)."""

    file: str
    record: int
    field: str  # dotted path inside the record, "" when the record as a whole can't be read
    reason: str
    text: str = ""  # the record as found, cut to a readable length

    def __str__(self) -> str:
        field = f": {self.field}" if self.field else ""
        return f"{self.file}:{self.record}{field}: {self.reason}"


class BadRecordsError(SetwrightError):
    """A source with `on_bad: error` (the default) holds records that can't be read; all of them are listed."""

    exit_code = ExitCode.FAILURES

    def __init__(self, records: Iterable[BadRecord]) -> None:
        self.records = list(records)
        super().__init__(
            "\n".join(str(r) for r in self.records) + f"\n{len(self.records)} bad records",
            cure="mend the records, or set on_bad: skip to keep the good ones and list the bad in the view `rejects`",
        )


class StoreError(SetwrightError):
    """The home can't be read or written (full, not permitted, held by another build). Finished work stays."""


class ModelError(SetwrightError):
    """A model call that failed after its retries. Ends the row that asked, never the build."""

    def __init__(self, message: str, *, cure: str | None = None, status: int | None = None, attempts: int = 1) -> None:
        super().__init__(message, cure=cure)
        self.status = status  # the server's, or what a backend in this process would have answered
        self.attempts = attempts

    @property
    def refused(self) -> bool:
        """Whether the request was refused for what is in it: of many asked together, only some need be wrong."""
        return self.status in (400, 413, 422)


class RowError(SetwrightError):
    """A row that an operator can't do anything with, for a reason in the row itself; retrying would not help."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'budget'?)`, or the known names when they are few, or nothing."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not near:  # difflib's ratio is case-sensitive and harsh on short names
        near = [n for n in names if n.lower() == name.lower()]
    if near:
        return f" (did you mean {near[0]!r}?)"
    return f" (one of: {', '.join(names)})" if 0 < len(names) <= 12 else ""
