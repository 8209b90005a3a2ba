"""Specs with rounds, for the tests of what the loader makes of them and says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import SpecError
from engine.spec.load import load_spec
from engine.spec.nodes import Spec

LOOP = """
  count: 3
  first: {kept: pool}
  tables:
    drafts: {generate: respond, from: kept@previous, model: base}
    kept: {select: random, from: drafts, params: {k: 2}}
"""

TRAINED = """
  count: 2
  first: {student: tiny, kept: null}
  models:
    student: {train: sft, base: student@previous, data: [kept, pool]}
  tables:
    kept:
      generate: respond
      from: [kept@previous, pool]
      model: student@previous
      scores: [{score: deita_quality, model: student@previous, as: before}, {score: deita_quality, model: base}]
"""


def load(folder: Path, loop: str = LOOP, tables: str = "", rest: str = "") -> Spec:
    """A spec of these rounds, two models and a table `pool`; the rounds begin after line 7 and those of `tables`."""
    path = folder / "spec.yaml"
    path.write_text(
        "version: 1\nname: trial\n"
        "models:\n  base: {use: scripted, params: {default: yes}}\n  tiny: {use: embedded}\n"
        f"tables:\n  pool: {{source: pool.jsonl}}\n{tables}rounds:{loop}{rest}",
        encoding="utf-8",
    )
    return load_spec(path)


def problems(folder: Path, *args: str, **options: str) -> list[str]:
    """What is said of such a spec, each as `line: path: message`."""
    with pytest.raises(SpecError) as error:
        load(folder, *args, **options)
    return [f"{problem.place.line}: {problem.path}: {problem.message}" for problem in error.value.problems]
