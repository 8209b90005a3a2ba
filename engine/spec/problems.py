"""Where a reading collects what is wrong, each thing with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.errors import Place, Problem
from engine.spec.composer import Keys, dotted
from engine.spec.document import Document, Part


class Problems:
    """The problems of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.found: list[Problem] = list(document.problems)

    def add(self, path: Keys, message: str, *, of: Part = "value", place: Place | None = None) -> None:
        """Note a problem with the key or value at `path`, or with a `place` within it."""
        written = dotted(self.document.as_written(path))
        self.found.append(Problem(place or self.document.place(path, of), written, message))

    def reported(self, path: Keys) -> bool:
        """Whether there is a problem at `path` itself."""
        return any(problem.path == dotted(path) for problem in self.found)

    def within(self, path: Keys, text: str, offset: int | None) -> Place:
        """The place of a character of the string at `path`; of the string itself where the character is unknown."""
        return self.document.place(path) if offset is None else self.document.place_within(path, text, offset)


def once(problems: Iterable[Problem]) -> list[Problem]:
    """The problems, but of one that a node has in several rounds only the first."""
    found: dict[tuple[Place, str, str], Problem] = {}
    for problem in problems:
        found.setdefault((problem.place, problem.path, re.sub(r"@\d+", "@", problem.message)), problem)
    return list(found.values())
