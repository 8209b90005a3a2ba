"""A project with something of everything in its past, and two ways to run a command: in this process and in another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner
from project import Project

from engine.cli import cli
from engine.errors import SetwrightError

STORY = """
models:
  teacher:
    use: scripted
    params:
      replies:
        - {match: river, reply: The river runs through the old town to the sea today}
        - {match: stream, reply: The river runs through the old town to the sea}
        - {match: bread, reply: Bread is made of flour water salt and time}
        - {match: winter, reply: Winter is cold}
        - {match: silence, reply: No}
      faults: [{kind: 500, match: storm, times: always}]
  embedder: {use: hashing, params: {dim: 64}}

tables:
  questions:
    source: questions.jsonl
    params: {shape: text, on_bad: skip}
    scores: [length]
  answers:
    generate: respond
    from: questions
    model: teacher
    scores:
      - {score: length, as: answer}
      - {score: embedding, model: embedder, columns: {text: response}}
  spoken:
    select: filter
    from: answers
    params: {where: answer_n_words > 1, reason: too short}
  curated:
    select: deita
    from: spoken
    params: {budget: 2, max_similarity: 0.9, score: answer_n_words}
    tests:
      - {rows: {min: 2}}
      - {rows: {min: 5}, severity: warn}
  long_ones:
    sql: SELECT * FROM curated WHERE answer_n_words > 5
  mixed:
    select: random
    from: [questions, curated]
    params: {k: 3}
"""

QUESTIONS = [
    *({"text": f"Tell me about the {topic}"} for topic in ("river", "stream", "bread", "winter", "silence", "storm")),
    {"text": 7},
]


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*args: object) -> Outcome:
    """A command in this process; as `main` does, an error that a user can mend becomes its text and exit code."""
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    if isinstance(result.exception, SetwrightError):
        return Outcome(int(result.exception.exit_code), result.stdout, str(result.exception))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


def shell(*args: object, **environment: str) -> Outcome:
    """A command in a process of its own."""
    command = [sys.executable, "-c", "from engine.cli import main; main()", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=120)
    return Outcome(done.returncode, done.stdout, done.stderr)


class Story(Project):
    """The project, with questions about its rows."""

    def row(self, query: str) -> str:
        """The first value of a query."""
        return str(self.sql(query)[0][0])

    def answer(self, topic: str) -> str:
        """The id of the answer about a topic."""
        return self.row(f"SELECT row_id FROM answers WHERE instruction LIKE '%{topic}'")

    def question(self, topic: str) -> str:
        """The id of the question about a topic."""
        return self.row(f"SELECT row_id FROM questions WHERE text LIKE '%{topic}'")


def tell(folder: Path) -> Story:
    """The project in a folder, not built yet."""
    story = Story(folder)
    story.spec(STORY).data(QUESTIONS, "questions.jsonl")
    return story
