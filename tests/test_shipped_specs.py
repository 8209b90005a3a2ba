"""Every spec that ships is planned, and each one's small twin is built by the real engine, offline."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import engine.models
from engine.assets import folder
from engine.builds import build
from engine.errors import ExitCode
from engine.ledger import Ledger
from engine.plan import make_plan
from engine.spec.load import load_spec
from engine.spec.nodes import Spec
from engine.store import Store

SPECS = folder("specs")
EMBEDDED = Path(engine.models.__file__).parent / "weights"  # stands in for checkpoints that a plan only looks at
FOUND = sorted(path.relative_to(SPECS).as_posix() for path in SPECS.rglob("*.yaml"))
RECIPES = [name for name in FOUND if "/" not in name]
METHODS = {"codeclm.yaml", "cyclealign.yaml", "i_sheep.yaml", "ultraprompt.yaml"}
"""Recipes whose twins are built by `test_method_twins`."""
PREPARED = {"i_sheep.yaml": {"lists", "marks", "lessons", "model tiny"}}
"""What a twin has besides: that of I-SHEEP first teaches its base model what a list of tasks is."""
OFFLINE = {"curate.yaml"}
"""Recipes that need neither a server nor a file of the user's: their own twins."""
WITHOUT_SCORE = (
    "the text is empty", "the text has no words", "no length is asked for", "2 different lengths are asked for",
    "the length that is asked for is not above 0", "all 3 responses have the reward ",
    "messages: the answer is empty", "the text has 1183 tokens and the model takes 1025",
)  # fmt: skip
"""How the reasons begin why rows of the twins may have no score, or give no pair: it is so in the data."""


def twin(recipe: str) -> str:
    return recipe if recipe in OFFLINE else f"small/{recipe}"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name, value in {
        "ALPACA": "data/instructions.jsonl",  # read for its columns only: it holds bad records, which that spec refuses
        "OPENAI_BASE_URL": "http://localhost:8000/v1",
        "TEACHER": "teacher",
        "JUDGE": "judge",
        "TARGET": str(EMBEDDED),
        "LONG_ROWS": "data/long_rows.jsonl",
        "PAIRS": "data/gold_pairs.jsonl",
        "POOL": "data/instructions.jsonl",
        "BENCHMARKS": "data/benchmark.jsonl",
        "CHAT": "data/instructions.jsonl",
        **dict.fromkeys(
            ("BASE", "WRITER", "COMPLEXITY_SCORER", "QUALITY_SCORER", "ENCODER", "REWARD", "STUDENT"), str(EMBEDDED)
        ),
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("INSTRUCTIONS", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def load(name: str) -> Spec:
    return load_spec(SPECS / name)


def test_all_of_them_are_found_and_every_recipe_has_a_twin():
    assert len(FOUND) == 31
    names = (
        "alpaca", "cleaning", "codeclm", "curate", "cyclealign", "deita_scorer", "dpo", "i_sheep", "isa", "judge",
        "long_output", "magpie_deita", "pama", "quickstart", "respond", "ultraprompt",
    )  # fmt: skip
    assert [f"{name}.yaml" for name in names] == RECIPES
    assert sorted({*RECIPES, *map(twin, RECIPES)}) == FOUND


@pytest.mark.parametrize("name", FOUND)
def test_it_plans(name, tmp_path):
    spec = load(name)
    plan = make_plan(spec, Store(tmp_path))
    assert set(plan.steps) >= {*spec.tables, *spec.trained}
    assert spec.description or "/" in name, "a recipe says what it does (`setwright init --list`)"


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name not in OFFLINE])
def test_a_twin_has_the_steps_of_its_recipe(recipe):
    there, here = shape(load(recipe)), shape(load(twin(recipe)))
    assert {name: here.get(name) for name in there} == there
    assert here.keys() - there.keys() <= PREPARED.get(recipe, set())


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name not in METHODS])
def test_its_twin_is_built_and_then_cached(recipe, tmp_path):
    spec = load(twin(recipe))
    first = build(spec, tmp_path)
    assert first.exit_code is ExitCode.DONE, first.steps
    assert {step["state"] for step in first.steps} == {"built"}
    assert all(reason.startswith(WITHOUT_SCORE) for reason in reasons(tmp_path)), "no step failed at any other row"
    again = build(spec, tmp_path)
    assert {step["state"] for step in again.steps} == {"cached"}


def test_the_respond_twin_makes_two_calls_a_prompt(tmp_path):
    (answers,) = (step for step in build(load("small/respond.yaml"), tmp_path).steps if step["step"] == "answers")
    assert (answers["rows_in"], answers["rows"], answers["calls_sent"]) == (395, 790, 790)
    ledger = Ledger(tmp_path)
    assert ledger.count() == 790
    ledger.close()


def reasons(home: Path) -> set[str]:
    """Why rows have no score."""
    files = home.glob("objects/*/errors-*.parquet")
    return {reason for path in files for reason in pq.read_table(path)["error"].to_pylist()}


def shape(spec: Spec) -> dict[str, object]:
    """What a spec does, without its models, files and numbers; of nodes that repeat the first two rounds."""
    return {
        name: (
            table.verb, table.operator, *map(plain, (table.inputs, table.models, table.sides)), dict(table.columns),
            [
                (score.operator, plain(score.models), plain(score.sides), dict(score.columns))
                for score in table.scores
            ],
            [(test.name, test.columns, test.severity) for test in table.tests],
        )
        for name, table in spec.tables.items() if name.partition("@")[2] in ("", "1", "2")
    } | {f"model {name}": None for name in plain([*spec.models, *spec.trained])}  # fmt: skip


def plain(names: Iterable[str]) -> list[str]:
    """Without their rounds, each once."""
    return list(dict.fromkeys(name.partition("@")[0] for name in names))
