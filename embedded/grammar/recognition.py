"""From the text of an instruction back to its task, its slots and the right answer."""

import re
from collections.abc import Iterator, Sequence
from random import Random

from embedded.grammar.question import BEFORE_COMMANDS, BEFORE_QUESTIONS, SHORTLY, Question, take
from embedded.grammar.task import Slots, Task

_OPENINGS = tuple(dict.fromkeys((*BEFORE_COMMANDS, *BEFORE_QUESTIONS)))


class Recogniser:
    """Knows the instructions of some tasks, in every phrasing and filling, held back or not."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._patterns: dict[str, list[tuple[Task, int, re.Pattern[str]]]] = {}
        self._words = {value for task in tasks for values in task.slots.values() if values for value in values}
        for task in tasks:
            for number, phrasing in enumerate(task.phrasings):
                first = phrasing.split()[0]
                word = "" if "{" in first else first
                self._patterns.setdefault(word, []).append((task, number, pattern(task, phrasing)))

    def __call__(self, instruction: str) -> Question | None:
        """The question that an instruction asks, with a right answer; None where the grammar never writes it so."""
        for task, phrasing, slots, brief in self._matches(instruction):
            answer = task.answer(slots, Random(instruction))
            if answer:
                return Question(task, slots, phrasing, instruction, answer, brief)
        return None

    def reads(self, instruction: str) -> bool:
        """Whether it is a phrasing of the grammar with words of its world, be there a right answer or not.

        "Delete pea from the list: pea, pea, hat." is; the grammar would not write it, since a list has no word twice.
        """
        return any(
            task.answer(slots, Random(instruction)) is not None or self._knows(task, slots)
            for task, _, slots, _ in self._matches(instruction)
        )

    def _matches(self, instruction: str) -> Iterator[tuple[Task, int, Slots, bool]]:
        """Task, phrasing, slots, and whether a short answer is asked for, in every way that it can be read."""
        for text, brief in _readings(instruction):
            words = text.split(maxsplit=1)
            if not words:
                continue
            for task, phrasing, pattern in (*self._patterns.get(words[0], ()), *self._patterns.get("", ())):
                if match := pattern.fullmatch(text):
                    yield task, phrasing, match.groupdict(), brief

    def _knows(self, task: Task, slots: Slots) -> bool:
        """Whether all slots hold numbers, or words that some slot of the grammar holds; none is open to any text."""
        known = all(value.isdigit() or value in self._words for value in slots.values())
        return known and None not in task.slots.values()


def _readings(instruction: str) -> list[tuple[str, bool]]:
    """The instruction without its opening and its request to be brief, in every way that it can be read."""
    readings = [(instruction, False)]
    readings += [(instruction.removesuffix(short), True) for short in SHORTLY if instruction.endswith(short)]
    inner = [(take(opening, text), brief) for text, brief in readings for opening in _OPENINGS]
    return readings + [(text, brief) for text, brief in inner if text is not None]


def pattern(task: Task, phrasing: str) -> re.Pattern[str]:
    """An exact pattern of a phrasing: a named group for each slot, wide or as narrow as its words need."""
    parts, seen = [], set[str]()
    for part in re.split(r"(\{\w+\})", phrasing):
        name = part[1:-1] if part.startswith("{") else ""
        if not name:
            parts.append(re.escape(part))
        elif name in seen:
            parts.append(f"(?P={name})")
        else:
            seen.add(name)
            parts.append(f"(?P<{name}>{_slot(task.slots[name])})")
    return re.compile("".join(parts))


def _slot(values: Sequence[str] | None) -> str:
    if values is not None and all(value.isdigit() for value in values):
        return r"\d+"
    if values is not None and all(re.fullmatch(r"\w+", value) for value in values):
        return r"\w+"
    return ".+?" if values is None else "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
