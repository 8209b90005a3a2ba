"""Rating: answers of planted quality, 6 to 1, and the texts in which a scorer is asked for a digit.

The two prompts are deita's, byte for byte (hkust-nlp/deita, src/deita/selection/scorer/llama_scorer.py).
"""

from collections.abc import Sequence
from random import Random

from embedded.grammar.question import Question, ask, weights
from embedded.grammar.task import Task, same

COMPLEXITY = (
    "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
    "##Query: {instruction}  \n##Complexity: "
)
QUALITY = (
    "You are a helpful assistant. Please identify the quality score of the Response corresponding to the Question. \n"
    " #Question#:\n{instruction}\n#Response#:\n{output} \n##Quality: "
)
QUALITIES = (1, 2, 3, 4, 5, 6)


class Grader:
    """Draws answers of a given quality to questions of some tasks."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._weights = weights(tasks)

    def respond(self, question: Question, quality: int, rng: Random) -> str | None:
        """An answer of the planted quality; None where this question has none such.

        6 right, in a full sentence; 5 right but bare or careless; 4 right but for a slip of the pen;
        3 undecided or cut short; 2 the answer to a like question; 1 off the point, garbled, broken off or empty.
        """
        if quality == 6:
            return question.response
        if quality == 5:
            return _careless(question)
        if quality == 4:
            return _slip(question, rng)
        response = self._off_point(question, rng) if quality == 1 else _not_right(question, quality, rng)
        return None if response is None or question.check(response) else response

    def _off_point(self, question: Question, rng: Random) -> str:
        way = rng.random()
        if way < 0.6:
            task = rng.choices(self._tasks, cum_weights=self._weights)[0]
            while task.skill == question.task.skill:
                task = rng.choices(self._tasks, cum_weights=self._weights)[0]
            return ask(task, rng).response
        words = question.answer.text.split()
        if way < 0.8 and len(words) > 4:
            rng.shuffle(words)
            return " ".join(words)
        return rng.choice(("", "I do not know.", "Hmm.", "What?", "...", words[0] if len(words) > 2 else ""))


def _wrong(question: Question, rng: Random) -> str | None:
    """The value of a like question, which is wrong here."""
    for _ in range(20):
        slots = question.task.fill(rng)
        other = question.task.answer(slots, rng)
        if other is not None and not question.check(question.answer.within(other.value)):
            return other.value
    return None


def _not_right(question: Question, quality: int, rng: Random) -> str | None:
    """The answer to a like question for quality 2; for 3 half of an answer, or the right value beside a wrong one."""
    answer, wrong = question.answer, _wrong(question, rng)
    if wrong is None:
        return None
    if quality == 2:
        return answer.within(wrong)
    if answer.form == "{}" or question.task.check is not None:
        return _cut(answer.text)
    return answer.within(" or ".join(rng.sample((answer.value, wrong), 2)))


def _careless(question: Question) -> str | None:
    answer = question.answer
    if answer.form != "{}":
        return None if question.brief or same(answer.bare, answer.text) else answer.bare
    text = answer.text.rstrip(".")
    text = text[0].lower() + text[1:]
    return text if question.check(text) and text != answer.text else None


def _slip(question: Question, rng: Random) -> str | None:
    """The right answer with two letters of a word in the wrong order."""
    answer = question.answer
    words = (answer.form if answer.form != "{}" else answer.value).split()
    places = [i for i, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not places:
        return None
    place = rng.choice(places)
    word = words[place]
    at = rng.randrange(1, len(word) - 2)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if swapped == word:
        return None
    words[place] = swapped
    text = " ".join(words)
    return text if answer.form == "{}" else text.replace("{}", answer.value)


def _cut(text: str) -> str:
    words = text.split()
    return " ".join(words[: max(1, len(words) // 2)])
