"""Rewards of a training in a plan: what they make of the graph and of identities, and what is wrong with them."""

import json

import pytest
from project import Project

from engine.errors import SpecError
from engine.plan.spans import Span, exactly

SPEC = """
models:
  base: {use: embedded}
  judge: {use: scripted, description: ABOUT, params: {replies: [{match: x, reply: REPLY}]}}
  taught: {train: sft, base: base, data: talk}
  tuned:
    train: pama
    base: base
    data: asked
    params:
      epochs: 2
      rewards:
        - {name: liked, score: reward, model: judge}
        - {name: apt, score: deita_quality, model: taught, columns: {response: response}, column: quality}
        - {name: words, score: length, column: "n_words + length(instruction)"}
        - {name: brief, sql: "1.0 / (1 + length(prompt))"}
tables:
  asked: {source: data.jsonl, params: {shape: raw}}
  talk: {source: talk.jsonl}
"""


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path).data([{"prompt": f"What is {i}?"} for i in range(5)])
    return project.data([{"instruction": "Who?", "output": "I"}], "talk.jsonl")


def plan(project, *changes, about="one", reply="y"):
    text = SPEC.replace("ABOUT", about).replace("REPLY", reply)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return project.spec(text).plan()


def problems(project, *changes):
    with pytest.raises(SpecError) as error:
        plan(project, *changes)
    return [f"{problem.path}: {problem.message}" for problem in error.value.problems]


def test_a_reward_stands_in_the_graph_below_the_model_that_it_asks(project):
    steps = plan(project).steps
    order = list(steps)
    assert order.index("taught") < order.index("tuned")
    assert set(steps["tuned"].needs) == {"asked", "taught"}
    assert steps["tuned"].inputs["rewards.apt.model"] == "taught"
    assert steps["tuned"].body["rewards"]["words"]["reads"] == {"text": "response"}


def test_what_a_reward_is_made_of_makes_the_model_anew(project):
    before = plan(project).steps["tuned"].fingerprint
    assert plan(project, about="another").steps["tuned"].fingerprint == before
    renamed = [("judge:", "critic:"), ("model: judge", "model: critic")]
    assert plan(project, *renamed).steps["tuned"].fingerprint == before
    others = [
        plan(project, reply="z"),  # another judge
        plan(project, ("data: talk}", "data: talk, params: {epochs: 3}}")),  # a judge trained in another way
        plan(project, ("n_words +", "n_words -")),
        plan(project, ("1 + length", "2 + length")),
        plan(project, ("score: length,", "score: length, params: {}, columns: {text: instruction},")),
        plan(project, ("name: brief", "name: short")),
    ]
    found = [other.steps["tuned"].fingerprint for other in others]
    assert len({before, *found}) == 1 + len(others)


def test_a_classifier_is_its_weights_and_not_its_place(project):
    def weights(name, content):
        folder = project.folder / name
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(content)

    for name, content in {"one": b"1", "same": b"1", "other": b"2"}.items():
        weights(name, content)
    last = '- {name: brief, sql: "1.0 / (1 + length(prompt))"}'
    prints = {
        name: plan(project, (last, f"- {{use: model, name: kind, model: {name}}}")).steps["tuned"].fingerprint
        for name in ("one", "same", "other")
    }
    assert prints["one"] == prints["same"] != prints["other"]


def test_the_calls_are_known_as_an_upper_bound(project):
    estimate = plan(project).steps["tuned"].estimate
    apt = 16  # turns of a conversation that are scored, at most
    assert (estimate.rows, estimate.calls, estimate.exact) == (exactly(5), Span(0, 2 * 5 * (1 + apt)), False)
    capped = plan(project, ("epochs: 2", "max_steps: 1, batch_size: 3".replace(", ", "\n      ")))
    assert capped.steps["tuned"].estimate.calls == Span(0, 3 * (1 + apt))
    filtered = ("asked: {source: data.jsonl, params: {shape: raw}}", "asked: {sql: SELECT * FROM talk}")
    one = plan(project, filtered, ("length(prompt)", "length(response)"))
    assert one.steps["tuned"].estimate.calls == Span(0, 2 * 1 * (1 + apt))


def test_what_is_wrong_with_rewards_is_found_before_anything_runs(project):
    assert problems(
        project,
        ("columns: {response: response}", "columns: {response: reply}"),
        ("n_words + length(instruction)", "n_word + 1"),
        ("1.0 / (1 + length(prompt))", "upper(response)"),
        ("score: reward, model: judge", "score: length"),
    ) == [
        "models.tuned.params.rewards.0.column: missing (score: length writes n_chars, n_words: say which of them, or "
        "what of them)",
        "models.tuned.params.rewards.1.columns.response: score: deita_quality reads the column 'reply', which an "
        "answer doesn't have (one of: instruction, messages, prompt, response, row_id)",
        'models.tuned.params.rewards.2.column: Referenced column "n_word" not found in FROM clause!',
        "models.tuned.params.rewards.3.sql: a reward is a number, and this is string",
    ]


def test_a_reward_stands_on_the_columns_of_its_prompts_that_it_reads(project):
    tables = (
        "asked: {source: data.jsonl, params: {shape: raw}, scores: [{score: length, columns: {text: prompt}, as: own}]}"
    )
    scored = ("asked: {source: data.jsonl, params: {shape: raw}}", tables)
    assert set(plan(project, scored).steps["tuned"].needs) == {"asked", "taught"}
    by_sql = plan(project, scored, ("1 + length(prompt)", "1 + own_n_chars")).steps["tuned"]
    assert set(by_sql.needs) == {"asked", "asked.own", "taught"}
    by_scorer = plan(project, scored, ("n_words + length(instruction)", "n_words - own_n_words")).steps["tuned"]
    assert by_scorer.inputs["columns.own_n_words"] == "asked.own"


def test_a_table_without_prompts_is_refused(project):
    project.data([{"text": "no prompt"}])
    (found,) = problems(project)
    assert "reads the column 'prompt' or 'messages', which asked doesn't have" in found


def test_a_prompt_of_messages_is_a_list_to_an_expression(project):
    project.data([{"prompt": [{"role": "user", "content": "What?"}]}])
    assert plan(project, ("1 + length(prompt)", "1 + length(prompt[1].content)")).steps["tuned"]


def test_the_plan_says_why(project):
    steps = plan(project).steps
    last = json.loads(json.dumps(steps["tuned"].payload({name: s.fingerprint for name, s in steps.items()})))
    assert last["rewards"]["liked"]["operator"] == "score/reward"
    assert last["rewards"]["apt"]["model"]["identity"]
