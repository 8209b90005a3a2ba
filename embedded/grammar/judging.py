"""The chat form of rating: a user turn that asks for a digit; and what knows every instruction of the grammar."""

from random import Random

from embedded.grammar.question import Question
from embedded.grammar.rating import Grader
from embedded.grammar.recognition import Recogniser
from embedded.grammar.skills import TASKS
from embedded.grammar.task import Answer, Slots, Task
from embedded.grammar.text import lines

SYSTEM = ("You are a judge of answers.", "You rate answers from 1 to 6.", "You are a strict and fair judge.")
GRADER = Grader(TASKS)
_recognise_asked = Recogniser(TASKS)


def _digit(slots: Slots, _: Random) -> Answer | None:
    """Six for the right answer, two for another: what a text alone tells of a planted quality."""
    question = _recognise_asked(slots["question"])
    return None if question is None else Answer("6" if question.check(slots["answer"]) else "2")


def _fits(slots: Slots, text: str) -> bool:
    """A digit that tells right from wrong; 4, right but for a slip, is both."""
    question = _recognise_asked(slots["question"])
    if question is None or text.strip() not in tuple("123456"):
        return False
    return int(text) >= 4 if question.check(slots["answer"]) else int(text) <= 4


JUDGE = Task(
    "judge",
    "judge",
    4,
    lines("""
    Rate this answer from 1 to 6. Question: {question} Answer: {answer}
    How good is this answer, from 1 to 6? Question: {question} Answer: {answer}
    Give this answer a score from 1 to 6. Question: {question} Answer: {answer}
    Score the answer from 1 to 6. Question: {question} Answer: {answer}
    Judge this answer with a number from 1 to 6. Question: {question} Answer: {answer}"""),
    {"question": None, "answer": None},
    _digit,
    check=_fits,
)

_recognise_judging = Recogniser((JUDGE,))


def recognise(instruction: str) -> Question | None:
    """The question that an instruction asks, with a right answer and a checker; None where there is none."""
    return _recognise_asked(instruction) or _recognise_judging(instruction)


def is_well_formed(instruction: str) -> bool:
    """Whether it is a phrasing of the grammar with words of its world, be there a right answer or not."""
    return _recognise_asked.reads(instruction) or _recognise_judging.reads(instruction)
