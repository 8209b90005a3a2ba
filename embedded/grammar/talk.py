"""Conversations: follow-ups that ask the same of something else, and remarks that refer to the answer before."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeAlias

from embedded.grammar.letters import WORDS
from embedded.grammar.question import Message, Question, ask, held_back, weights
from embedded.grammar.recognition import pattern
from embedded.grammar.task import Answer, Task

Reply: TypeAlias = Callable[[Question, str], Answer | None]


@dataclass(frozen=True)
class Remark:
    """What a user may say after an answer: the texts, and the reply to each, None where it does not fit the answer."""

    name: str
    texts: tuple[str, ...]
    reply: Reply

    def after(self, previous: Question, text: str) -> Question | None:
        """The remark as a question of its own, behind the turns before it."""
        answer = self.reply(previous, text)
        if answer is None:
            return None
        task = Task(self.name, "talk", 2, self.texts, {}, lambda *_: answer)
        return Question(task, {}, self.texts.index(text), text, answer, history=told(previous))


def told(question: Question) -> tuple[Message, ...]:
    """The turns up to and with the right answer."""
    return (*question.messages, {"role": "assistant", "content": question.response})


def _of_word(reply: Callable[[str], Answer]) -> Reply:
    """A reply that speaks of the one word that was the answer."""

    def of_word(previous: Question, _: str) -> Answer | None:
        word = previous.answer.value.lower()
        return reply(word) if word in _WORDS else None

    return of_word


def _length(word: str) -> Answer:
    return Answer(str(len(word)), f"The word {word} has {{}} letters.")


def _spelled(word: str) -> Answer:
    return Answer("-".join(word), f"The word {word} is spelled {{}}.")


def _capitals(word: str) -> Answer:
    return Answer(word.upper(), "In capital letters: {}.")


def _plus(previous: Question, text: str) -> Answer | None:
    value, more = previous.answer.value, int(re.findall(r"\d", text)[0])
    if not value.isdigit() or int(value) > 90:
        return None
    return Answer(str(int(value) + more), f"{value} + {more} = {{}}.")


def _bare(previous: Question, _: str) -> Answer | None:
    answer = previous.answer
    if previous.brief or answer.form == "{}" or not re.fullmatch(r"\w+", answer.value):
        return None
    return Answer(answer.bare)


def _sure(previous: Question, _: str) -> Answer | None:
    if previous.brief or previous.task.check or previous.task.skill in ("talk", "code"):
        return None
    return Answer(f"Yes, I am sure. {previous.answer.text}")


def _again(previous: Question, _: str) -> Answer | None:
    return Answer(previous.response) if len(previous.response) < _LONG else None


def _asked(previous: Question, _: str) -> Answer | None:
    asked = previous.instruction
    return Answer(f"You asked: {asked}") if asked.endswith("?") and len(asked) < _LONG else None


def _welcome(*_: object) -> Answer:
    return Answer("You are welcome! Is there anything else?")


_WORDS = frozenset(WORDS)
_LONG = 80
_PLUS = tuple(form.format(n) for n in range(1, 10) for form in ("Now add {}.", "Add {} to that.", "And plus {}?"))
# fmt: off
REMARKS = (
    Remark("its_length", ("How many letters does that word have?", "How long is that word?", "Count its letters."),
           _of_word(_length)),
    Remark("its_spelling", ("Spell that word.", "How do you spell that?", "And how is that spelled?"),
           _of_word(_spelled)),
    Remark("its_capitals", ("Write that in capital letters.", "Now in uppercase.", "Put that word in capitals."),
           _of_word(_capitals)),
    Remark("plus", _PLUS, _plus),
    Remark("one_word", ("Say that in one word.", "Just the answer, please.", "Shorter, please."), _bare),
    Remark("sure", ("Are you sure?", "Is that right?", "Really?"), _sure),
    Remark("again", ("Can you say that again?", "Please repeat that.", "Once more, please."), _again),
    Remark("my_question", ("What did I ask you?", "What was my question?", "Repeat my question."), _asked),
    Remark("welcome", ("Thank you!", "Thanks, that helps.", "Great, thank you."), _welcome),
)
# fmt: on
_OF_TEXT = {text: remark for remark in REMARKS for text in remark.texts}


def follow(previous: Question, rng: Random) -> Question:
    """What the user says next: the same question of something else where the task has such, or a remark."""
    if previous.task.follow and rng.random() < 0.6:
        return _same_again(previous, rng)
    while True:
        remark = rng.choice(REMARKS)
        question = remark.after(previous, rng.choice(remark.texts))
        if question is not None and remark.name != previous.task.name:
            return question


def _same_again(previous: Question, rng: Random) -> Question:
    task = previous.task
    while True:
        slots = task.fill(rng)
        answer = task.answer(slots, rng)
        if answer is not None and dict(slots) != dict(previous.slots) and held_back(task, slots, 0) is None:
            text = rng.choice(task.follow).format(**slots)
            return Question(task, slots, previous.phrasing, text, answer, history=told(previous))


def converse(tasks: Sequence[Task], turns: int, rng: Random) -> Question:
    """A conversation of several user turns, as its last question with all turns before it."""
    question = ask(rng.choices(tasks, cum_weights=weights(tasks))[0], rng)
    for _ in range(turns - 1):
        question = follow(question, rng)
    return question


def recognise_follow_up(previous: Question, response: str, text: str) -> Question | None:
    """The question that a user turn asks after a question and its response; None where the grammar has no such turn."""
    if previous.task.check is not None and response != previous.response:
        previous = replace(previous, answer=Answer(response))
    if text in _OF_TEXT:
        return _OF_TEXT[text].after(previous, text)
    for form in previous.task.follow:
        match = pattern(previous.task, form).fullmatch(text)
        answer = match and previous.task.answer(match.groupdict(), Random(text))
        if match and answer:
            return Question(previous.task, match.groupdict(), previous.phrasing, text, answer, history=told(previous))
    return None
