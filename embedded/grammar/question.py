"""Asking: a task with filled slots, in one of its phrasings, with an opening or a request for a short answer around it.

What training must not see is decided by `held_back`, here and nowhere else.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

from embedded.grammar.task import Answer, Slots, Task
from embedded.grammar.text import words

Message: TypeAlias = dict[str, str]
Held: TypeAlias = Literal["filling", "phrasing"]

COMMANDS = frozenset(
    words("""
    Add Append Arrange Ask Calculate Change Choose Combine Compare Complete Connect Continue Correct Count
    Create Decide Define Delete Describe Divide Double Drop Explain Find Fix Give Guess Help Join List Look Loop
    Make Mix Multiply Name Order Pick Print Put Remove Replace Reverse Rewrite Say Select Set Show Sort Spell
    Store Subtract Suggest Take Teach Tell Think Translate Turn Use Work Write""")
)
BEFORE_COMMANDS = (
    "Please {}",
    "Hi! {}",
    "Hello. {}",
    "I need your help. {}",
    "Can you {}?",
    "Could you {}?",
    "Could you please {}?",
)
BEFORE_QUESTIONS = (
    "Hi! {}",
    "Hello. {}",
    "I have a question. {}",
    "Here is a question: {}",
    "Quick question: {}",
    "Please help me. {}",
    "I would like to know this: {}",
    "A friend asked me: {}",
)
SHORTLY = (" Answer with one word.", " Only give the answer.", " Please be brief.", " Keep it short.")

_OPENED, _SHORT, _HELD = 0.35, 0.08, 10


@dataclass(frozen=True)
class Question:
    """A question as it is asked, with a right answer.

    Attributes:
        task: Its family.
        slots: What its slots hold.
        phrasing: Number of the phrasing.
        instruction: The text of the last user turn.
        answer: A right answer.
        brief: The instruction asks for the bare answer.
        history: The turns before.
    """

    task: Task
    slots: Slots
    phrasing: int
    instruction: str
    answer: Answer
    brief: bool = False
    history: tuple[Message, ...] = ()

    @property
    def response(self) -> str:
        """The right answer as the corpus writes it."""
        return self.answer.bare if self.brief else self.answer.text

    @property
    def messages(self) -> list[Message]:
        """The turns up to the instruction."""
        return [*self.history, {"role": "user", "content": self.instruction}]

    @property
    def complexity(self) -> int:
        """Planted complexity, 1 to 6: that of the task, and one for a constraint and for each earlier question."""
        turns = sum(turn["role"] == "user" for turn in self.history)
        return min(6, self.task.complexity + self.brief + turns)

    def check(self, text: str) -> bool:
        """Whether a text is a right answer, in full or bare."""
        if self.task.check is not None:
            return self.task.check(self.slots, text)
        return self.answer.matches(text)


def held_back(task: Task, slots: Slots, phrasing: int) -> Held | None:
    """Why training must not see this: its filling (for facts: in this phrasing), its phrasing; None where it may."""
    key = [task.name, *(f"{name}={slots[name]}" for name in sorted(slots))]
    if task.split == "phrasing":
        key.append(task.phrasings[phrasing])
    last = phrasing == len(task.phrasings) - 1
    if zlib.crc32("|".join(key).encode()) % _HELD == 0 and not (last and task.split == "phrasing"):
        return "filling"
    return "phrasing" if last else None


def ask(task: Task, rng: Random, held: Held | None = None) -> Question:
    """A question of the task, trained on (`held` is None) or held back for the given reason."""
    while True:
        slots = task.fill(rng)
        count = len(task.phrasings)
        phrasing = count - 1 if held == "phrasing" else rng.randrange(count - 1)
        if held_back(task, slots, phrasing) == held:
            break
    answer = task.answer(slots, rng)
    if answer is None:
        raise ValueError(f"{task.name}: drew slots that it does not answer: {dict(slots)}")
    text = task.phrasings[phrasing].format(**slots)
    if task.skill != "talk" and rng.random() < _OPENED:
        text = _opened(task.phrasings[phrasing], text, rng)
    brief = task.check is None and answer.form != "{}" and len(answer.value.split()) == 1 and rng.random() < _SHORT
    return Question(task, slots, phrasing, text + rng.choice(SHORTLY) if brief else text, answer, brief)


def _opened(phrasing: str, text: str, rng: Random) -> str:
    plain = sum(phrasing.count(mark) for mark in ".:?!") == 1  # one sentence that may stand inside of another
    openings: Sequence[str]
    if phrasing.split()[0] in COMMANDS:
        openings = BEFORE_COMMANDS if plain and phrasing.endswith(".") else BEFORE_COMMANDS[:4]
    elif phrasing.endswith("?"):
        openings = BEFORE_QUESTIONS if plain else BEFORE_QUESTIONS[:3]
    else:
        return text
    return put(rng.choice(openings), text)


def put(opening: str, text: str) -> str:
    """The text behind an opening: in lower case within its sentence, and with its question mark."""
    if opening.endswith("?"):
        text = text.rstrip(".")
    if opening.split("{}")[0].rstrip()[-1] not in ".:!":
        text = text[0].lower() + text[1:]
    return opening.replace("{}", text)


def take(opening: str, text: str) -> str | None:
    """What stands behind an opening, as it was before; None where the text does not begin so."""
    before, after = opening.split("{}")
    if not (text.startswith(before) and text.endswith(after)) or len(text) <= len(before) + len(after):
        return None
    inner = text[len(before) : len(text) - len(after)]
    return inner[0].upper() + inner[1:] + ("." if after else "")


def weights(tasks: Sequence[Task]) -> list[float]:
    """How often each task is drawn, cumulated for `Random.choices`."""
    total, cumulated = 0.0, []
    for task in tasks:
        total += task.weight
        cumulated.append(total)
    return cumulated
