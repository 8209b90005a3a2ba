"""Questions that the corpus holds back, and answers of planted quality to them.

`python -m embedded.questions N OUT` writes the exam of the quickstart: questions with one right answer each.
"""

import json
import sys
from pathlib import Path
from random import Random

from embedded.grammar.judging import GRADER
from embedded.grammar.question import Held, Question, ask, weights
from embedded.grammar.rating import QUALITIES
from embedded.grammar.skills import TASKS

__all__ = ["Question", "graded_answers", "questions", "write_exam"]

_WEIGHTS = weights(TASKS)
_EXAM_SEED = 99


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


def write_exam(n: int, path: Path) -> None:
    """Closed questions as JSONL: `instruction`, the right answer in full and in short, the skill that it asks for."""
    closed = [question for question in questions(2 * n, _EXAM_SEED) if question.task.check is None][:n]
    with path.open("w", encoding="utf-8") as file:
        for question in closed:
            record = {
                "instruction": question.instruction,
                "answer": question.answer.text,
                "short_answer": question.answer.bare,
                "skill": question.task.skill,
            }
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    write_exam(int(sys.argv[1]), Path(sys.argv[2]))
