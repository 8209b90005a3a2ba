"""Rows of plausible English made from templates: as many as a benchmark asks for, the same for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

NOUNS = (
    "river", "garden", "letter", "market", "window", "teacher", "engine", "winter", "harbour", "mountain", "recipe",
    "bridge", "village", "museum", "library", "forest", "planet", "theory", "sentence", "journey", "camera", "island",
    "painting", "kitchen", "science", "history", "weather", "signal", "machine", "child",
)  # fmt: skip
ADJECTIVES = ("quiet", "early", "bright", "hidden", "common", "narrow", "ancient", "gentle", "modern", "distant")
VERBS = (
    "shows",
    "follows",
    "changes",
    "explains",
    "crosses",
    "reaches",
    "carries",
    "describes",
    "protects",
    "improves",
)
JOINTS = ("and then", "because", "although", "while", "so that", "as soon as")
TASKS = (
    "Describe the {a} {n} in a few words.", "Explain why the {n} {v} the {m}.", "List three facts about a {a} {n}.",
    "Write a short story about a {n} and a {m}.", "What is the difference between a {n} and a {m}?",
    "Summarise the history of the {a} {n}.", "Give advice to someone whose {n} {v} a {m}.",
)  # fmt: skip


def rows(n: int, seed: int) -> Iterator[dict[str, str]]:
    """Alpaca-shaped records: some of one word, most of a paragraph (some 400 characters), some of a page."""
    rng = random.Random(seed)
    sentences = [_sentence(rng) for _ in range(4000)]
    for i in range(n):
        (count,) = rng.choices((0, rng.randint(1, 8), rng.randint(9, 30)), (4, 88, 8))
        parts = rng.choices(sentences, k=count) or [rng.choice(NOUNS)]
        joint = "\n- " if i % 11 == 0 else " "
        yield {"instruction": f"{_fill(rng, rng.choice(TASKS))} (No. {i})", "input": "", "output": joint.join(parts)}


def texts(n: int, seed: int) -> Iterator[dict[str, str]]:
    """The same rows as plain text."""
    for i, row in enumerate(rows(n, seed)):
        yield {"id": f"doc-{i}", "text": row["output"]}


def write_jsonl(path: Path, records: Iterable[dict[str, str]]) -> None:
    """Write records as JSON lines."""
    with path.open("w", encoding="utf-8") as f:
        f.writelines(json.dumps(record) + "\n" for record in records)


def _sentence(rng: random.Random) -> str:
    text = f"{_fill(rng, 'the {a} {n} {v} the {m}')} {rng.choice(JOINTS)} {_fill(rng, 'a {n} {v} the {a} {m}')}"
    return text[0].upper() + text[1:] + rng.choice((".", ".", ".", "!", f", in {rng.randint(1200, 2020)}."))


def _fill(rng: random.Random, template: str) -> str:
    return template.format(a=rng.choice(ADJECTIVES), n=rng.choice(NOUNS), m=rng.choice(NOUNS), v=rng.choice(VERBS))
