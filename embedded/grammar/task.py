"""What a task of the grammar is: phrasings with slots, a solver that knows the right answer, a checker, a complexity.

The tasks themselves are in one file per skill; how a question is asked and recognised is in `question`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal, TypeAlias

from embedded.grammar.text import lines

Slots: TypeAlias = Mapping[str, str]
Solve: TypeAlias = "Callable[[Slots, Random], Answer | None]"

_TRIES = 10_000


@dataclass(frozen=True)
class Answer:
    """A right answer: the value that matters, and the sentence around it with `{}` in its place.

    A `verbatim` value, such as code, keeps every letter as it is.
    """

    value: str
    form: str = "{}"
    verbatim: bool = False

    @property
    def text(self) -> str:
        """The full answer."""
        return self.form.replace("{}", self.value)

    @property
    def bare(self) -> str:
        """The value alone, as it begins a line."""
        return self.value if self.verbatim else self.value[:1].upper() + self.value[1:]

    def matches(self, text: str) -> bool:
        """Whether a text is this answer, in full or bare; white space and the stop at the end do not count."""
        if self.verbatim:
            return text.strip() in (self.text, self.value)
        return same(text, self.text) or same(text, self.value)

    def within(self, value: str) -> str:
        """Another value in the same sentence."""
        return self.form.replace("{}", value)


@dataclass(frozen=True)
class Task:
    """A family of questions with one kind of right answer.

    Attributes:
        name: Unique name.
        skill: The skill that a system prompt may name; one file of the grammar.
        complexity: Planted complexity, 1 to 6.
        phrasings: Ways to ask, with `{slot}` for each slot; the last one is never trained on.
        slots: What each slot may hold; None where only `solve` can tell.
        solve: The right answer to filled slots (one of them where many are right), None where they make no question.
        draw: Draws slots; by default each slot by itself until `solve` takes them.
        check: Says whether a text answers an open question; None where only the answer of `solve` is right.
        split: What is held back: whole fillings, where a rule can be learned, or a filling in some of its phrasings,
            where facts can only be remembered.
        weight: How often the task is drawn.
        follow: Short questions that ask the same again of other slots, after an answer.
    """

    name: str
    skill: str
    complexity: int
    phrasings: tuple[str, ...]
    slots: Mapping[str, Sequence[str] | None]
    solve: Solve
    draw: Callable[[Random], Slots] | None = None
    check: Callable[[Slots, str], bool] | None = None
    split: Literal["filling", "phrasing"] = "phrasing"
    weight: float = 1.0
    follow: tuple[str, ...] = ()
    members: Mapping[str, frozenset[str] | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        members = {name: None if values is None else frozenset(values) for name, values in self.slots.items()}
        object.__setattr__(self, "members", members)

    def fill(self, rng: Random) -> Slots:
        """Slots that make a question."""
        for _ in range(_TRIES):
            slots = self.draw(rng) if self.draw else {n: rng.choice(v) for n, v in self.slots.items() if v is not None}
            if self.solve(slots, rng) is not None:
                return slots
        raise ValueError(f"{self.name}: no slots drawn that make a question")

    def answer(self, slots: Slots, rng: Random) -> Answer | None:
        """The right answer, or None where the slots are outside of the closed world."""
        if any(members is not None and slots[name] not in members for name, members in self.members.items()):
            return None
        return self.solve(slots, rng)


def lookup(
    name: str,
    skill: str,
    complexity: int,
    slot: str,
    table: Mapping[str, str],
    form: str,
    phrasings: str,
    follow: tuple[str, ...] = (),
    weight: float = 1.0,
) -> Task:
    """A task whose answer is looked up: `form` holds the slot by name and `{value}`."""

    def answer(key: str) -> Answer:
        return Answer(table[key], form.format(**{slot: key}, value="{}"))

    return about(name, skill, complexity, slot, tuple(table), answer, phrasings, follow, weight)


def about(
    name: str,
    skill: str,
    complexity: int,
    slot: str,
    members: Sequence[str],
    answer: Callable[[str], Answer],
    phrasings: str,
    follow: tuple[str, ...] = (),
    weight: float = 1.0,
) -> Task:
    """A task with one slot whose answer is a function of what the slot holds."""

    def solve(slots: Slots, _: Random) -> Answer:
        return answer(slots[slot])

    return Task(name, skill, complexity, lines(phrasings), {slot: members}, solve, weight=weight, follow=follow)


def same(left: str, right: str) -> bool:
    """Equal but for white space, the stop at the end and the case of the first letter."""
    return _plain(left) == _plain(right)


def _plain(text: str) -> str:
    text = " ".join(text.split()).rstrip(".!")
    return text[:1].lower() + text[1:]
