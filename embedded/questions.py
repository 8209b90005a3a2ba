"""Questions that the corpus holds back, for evaluation, and answers of planted quality to them."""

from random import Random

from embedded.grammar.judging import GRADER
from embedded.grammar.question import Held, Question, ask, weights
from embedded.grammar.rating import QUALITIES
from embedded.grammar.skills import TASKS

__all__ = ["Question", "graded_answers", "questions"]

_WEIGHTS = weights(TASKS)


def questions(n: int, seed: int, held_back: Held = "filling") -> list[Question]:
    """Different questions that were held back: their fillings, or their phrasings, were never trained on."""
    rng = Random(f"{seed}|{held_back}")
    found: dict[str, Question] = {}
    while len(found) < n:
        question = ask(rng.choices(TASKS, cum_weights=_WEIGHTS)[0], rng, held_back)
        found.setdefault(question.instruction, question)
    return list(found.values())


def graded_answers(n: int, seed: int) -> list[tuple[str, str, int]]:
    """Instructions with held-back fillings, a response, and its planted quality from 1 to 6."""
    rng = Random(f"{seed}|graded")
    graded: list[tuple[str, str, int]] = []
    for question in questions(2 * n, seed, "filling"):
        quality = rng.choice(QUALITIES)
        response = GRADER.respond(question, quality, rng)
        if response is not None and len(graded) < n:
            graded.append((question.instruction, response, quality))
    return graded
