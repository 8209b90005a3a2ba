"""Trained models in a plan: their place in the graph, what they are made of, and what makes them anew."""

import pytest
from project import Project
from tiny_model import build_tiny_model

from engine.errors import SpecError
from engine.plan.trained import serve
from engine.registry import backend
from engine.store import Store

SPEC = """
models:
  tiny: {use: transformers, model: tiny, params: {max_tokens: TOKENS}}
  tuned: {train: sft, base: tiny, data: talk, params: {PARAMS}, tags: [students]}
  again: {train: sft, base: tuned, data: [talk, other]}
tables:
  talk:
    source: data.jsonl
    scores: [length]
    tests: [{rows: {min: 1}}]
  other:
    sql: SELECT messages FROM talk
  answers:
    generate: respond
    from: talk
    model: again
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def plan(tmp_path, tiny):
    (tmp_path / "tiny").symlink_to(tiny)
    project = Project(tmp_path).data([{"instruction": "Who?", "output": "I"}])

    def plan(params="epochs: 1", tokens=9, name="tuned", selection=None):
        text = SPEC.replace("PARAMS", params).replace("TOKENS", str(tokens)).replace("tuned", name)
        return project.spec(text).plan(selection=selection)

    plan.home = project.home
    return plan


def prints(plan):
    return {name: step.fingerprint for name, step in plan.steps.items()}


def test_models_stand_in_the_graph(plan):
    steps = plan().steps
    order = list(steps)
    assert order.index("talk.tests") < order.index("tuned") < order.index("again") < order.index("answers")
    assert steps["tuned"].needs == ("talk", "talk.tests")
    assert steps["again"].needs == ("again.from", "tuned")
    assert steps["answers"].needs == ("talk", "again", "talk.tests")
    assert steps["tuned"].step.label == "train: sft"
    assert steps["tuned"].why == ("never built",)


def test_a_score_that_the_training_does_not_read_is_no_part_of_it(plan):
    assert set(plan().steps["tuned"].inputs.values()) == {"talk"}


def test_what_trains_a_model_anew(plan):
    first = prints(plan())
    changed = prints(plan("epochs: 2"))
    assert {name for name in first if first[name] != changed[name]} == {"tuned", "again", "answers"}
    assert prints(plan("epochs: 1, save_steps: 5")) == first
    renamed = prints(plan(name="student"))
    assert renamed["student"] == first["tuned"]
    assert renamed["answers"] == first["answers"]


def test_how_the_base_draws_trains_nothing_but_asks_again(plan):
    first, other = prints(plan(tokens=9)), prints(plan(tokens=10))
    assert {name for name in first if first[name] != other[name]} == {"answers"}


def test_a_model_is_selected_like_a_table(plan):
    def chosen(selection):
        return {name for name, step in plan(selection=selection).steps.items() if step.status != "not selected"}

    assert chosen("tag:students") == {"tuned"}
    assert chosen("+tuned") == {"talk", "talk.length", "talk.tests", "tuned"}
    assert chosen("again+") == {"again.from", "again", "answers"}


def test_a_column_that_is_not_there(plan):
    with pytest.raises(
        SpecError, match=r"models\.tuned: train: sft reads the column 'prompt', which talk doesn't have"
    ):
        plan("format: completion")


def test_a_base_with_weights_of_its_own_is_served_by_transformers(plan):
    config = plan().backends["tiny"].config
    root = backend("transformers")(config)
    served = serve("tuned", root, Store(plan.home), "f" * 32)
    assert served.identity() == {"trained": "f" * 32, "served": root.identity()}
    assert served.weights().model == str(Store(plan.home).model("f" * 32).resolve())
    assert (served.sampling, served.embedding_dim()) == (root.sampling, 64)
