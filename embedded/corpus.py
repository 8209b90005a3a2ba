"""`python -m embedded.corpus --rows N --seed S --out FILE`: what the embedded model is trained on.

Chat rows have `messages`, plain rows of the scorers have `prompt` and `completion`; what the grammar holds back is in
neither.
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from embedded.grammar.judging import GRADER, JUDGE
from embedded.grammar.judging import SYSTEM as JUDGES
from embedded.grammar.question import Message, Question, ask, weights
from embedded.grammar.rating import COMPLEXITY, QUALITIES, QUALITY
from embedded.grammar.skills import GENERAL, TASKS, system_prompt
from embedded.grammar.talk import converse
from engine.operators.generators._magpie_tasks import SEVERAL_ROUNDS

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
SCHEMA = pa.schema(
    [
        ("messages", pa.list_(MESSAGE)),
        ("prompt", pa.string()),
        ("completion", pa.string()),
        ("task", pa.string()),
        ("kind", pa.string()),
        ("complexity", pa.int8()),
    ]
)
SHARES = {"single": 0.58, "conversation": 0.13, "judge": 0.04, "complexity": 0.06, "quality": 0.19}
PART = 20_000
_WEIGHTS = weights(TASKS)


def rows(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of a corpus; the same for the same seed, and the first rows of every longer one."""
    rng = Random(seed)
    kinds, shares = tuple(SHARES), tuple(SHARES.values())
    make = {
        "single": _single,
        "conversation": _conversation,
        "judge": _judge,
        "complexity": _complexity,
        "quality": _quality,
    }
    for _ in range(count):
        yield make[rng.choices(kinds, shares)[0]](rng)


def _question(rng: Random) -> Question:
    return ask(rng.choices(TASKS, cum_weights=_WEIGHTS)[0], rng)


def _chat(question: Question, system: str | None) -> dict[str, Any]:
    before: list[Message] = [{"role": "system", "content": system}] if system else []
    messages = [*before, *question.messages, {"role": "assistant", "content": question.response}]
    return _row(question, messages, None, None, "chat")


def _single(rng: Random) -> dict[str, Any]:
    question, way = _question(rng), rng.random()
    system = system_prompt(question.task, rng) if way < 0.22 else rng.choice(GENERAL) if way < 0.28 else None
    return _chat(question, system)


def _conversation(rng: Random) -> dict[str, Any]:
    question = converse(TASKS, rng.choice((2, 2, 3)), rng)
    return _chat(question, SEVERAL_ROUNDS if rng.random() < 0.4 else None)


def _judge(rng: Random) -> dict[str, Any]:
    question, response, quality = _graded(rng)
    while not response:
        question, response, quality = _graded(rng)
    slots = {"question": question.instruction, "answer": response}
    phrasing = rng.randrange(len(JUDGE.phrasings) - 1)
    messages = [
        {"role": "system", "content": rng.choice(JUDGES)},
        {"role": "user", "content": JUDGE.phrasings[phrasing].format(**slots)},
        {"role": "assistant", "content": str(quality)},
    ]
    return {
        "messages": messages,
        "prompt": None,
        "completion": None,
        "task": JUDGE.name,
        "kind": "chat",
        "complexity": JUDGE.complexity,
    }


def _complexity(rng: Random) -> dict[str, Any]:
    question = _question(rng)
    prompt = COMPLEXITY.format(instruction=question.instruction)
    return _row(question, None, prompt, str(question.complexity), "rating")


def _quality(rng: Random) -> dict[str, Any]:
    question, response, quality = _graded(rng)
    return _row(
        question, None, QUALITY.format(instruction=question.instruction, output=response), str(quality), "rating"
    )


def _graded(rng: Random) -> tuple[Question, str, int]:
    while True:
        question, quality = _question(rng), rng.choice(QUALITIES)
        response = GRADER.respond(question, quality, rng)
        if response is not None:
            return question, response, quality


def _row(
    question: Question, messages: list[Message] | None, prompt: str | None, completion: str | None, kind: str
) -> dict[str, Any]:
    return {
        "messages": messages,
        "prompt": prompt,
        "completion": completion,
        "task": question.task.name,
        "kind": kind,
        "complexity": question.complexity,
    }


def write(path: Path, count: int, seed: int) -> None:
    """Write a corpus as Parquet, part by part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = rows(count, seed)
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for start in range(0, count, PART):
            part = list(islice(made, min(PART, count - start)))
            writer.write_table(pa.Table.from_pylist(part, SCHEMA))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the corpus that the embedded model is trained on.")
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    write(args.out, args.rows, args.seed)


if __name__ == "__main__":
    main()
