"""The deita scorers on what a model shows: the prompts' bytes, the arithmetic, turns, and what can't be read."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from dataclasses import dataclass, field

import pytest
from operators.fakes import FakeContext
from project import Project
from pydantic import ValidationError

from engine.errors import RowError
from engine.operators._rating import expectation
from engine.operators.scorers._deita import COMPLEXITY, QUALITY, filled, turns_of
from engine.registry import operator

SCORERS = {name: operator("score", f"deita_{name}") for name in ("complexity", "quality")}
DIGITS = tuple("123456")
UPSTREAM = {  # of the string literals in hkust-nlp/deita at b279f2c, src/deita/selection/scorer/llama_scorer.py
    "complexity": "7d3b818c0530b64aee6c2b422157fc0cc2fc4f05bc00090481f00ad812ab23f7",
    "quality": "5f9fec526d8855b581327d0cfe2346b74de9f2e439b84e3d560056841acef265",
}


@dataclass
class Sure:
    """A model that writes the digit that stands in the text as `<d>`, and nothing else; `mass` is its digits' share."""

    mass: float = 1.0
    hidden: tuple[str, ...] = ()
    asked: list[tuple[tuple[str, ...], str | None, list | None]] = field(default_factory=list)

    async def next_token_logprobs(self, candidates, *, messages=None, prompt=None):
        self.asked.append((tuple(candidates), prompt, messages))
        text = prompt if messages is None else messages[-1]["content"]
        sure = text[text.index("<") + 1]
        logprobs = {d: math.log(self.mass) if d == sure else -80.0 for d in candidates}
        return logprobs | dict.fromkeys(self.hidden, -math.inf)


def score(name, row, model=None, **params):
    op = SCORERS[name]
    return asyncio.run(op.fn({"row_id": "r", **row}, op.params(**params), FakeContext(17, model or Sure())))


def user(text):
    return {"role": "user", "content": text}


def says(text):
    return {"role": "assistant", "content": text}


# The prompts


def test_the_prompts_have_the_bytes_that_the_released_scorers_were_trained_on():
    texts = {"complexity": COMPLEXITY, "quality": QUALITY.replace("{response}", "{output}")}
    assert {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()} == UPSTREAM


@pytest.mark.parametrize("text", ["plain", "{response} {instruction} {output} {}", "a\\1 {{x}}", " \n"])
def test_the_prompts_are_filled_as_the_reference_fills_them(text):
    (turn,) = turns_of([user(text), says(f"{text}!")])
    assert filled(COMPLEXITY, turn, None) == (COMPLEXITY.format(instruction=text), False)
    assert filled(QUALITY, turn, None) == (QUALITY.format(instruction=text, response=f"{text}!"), False)


def test_the_next_token_of_the_plain_prompt_is_asked_for():
    model = Sure()
    score("quality", {"prompt": "q <3>", "response": "a"}, model)
    assert model.asked == [(DIGITS, QUALITY.format(instruction="q <3>", response="a"), None)]


def test_templates_of_one_s_own_and_the_chat_template():
    model = Sure()
    score("quality", {"prompt": "q <3>", "response": "a"}, model, template="chat")
    assert model.asked == [(DIGITS, None, [user(QUALITY.format(instruction="q <3>", response="a"))])]
    model = Sure()
    score("quality", {"prompt": "q <3>", "response": "a"}, model, template="{response}|{instruction}: ")
    assert model.asked == [(DIGITS, "a|q <3>: ", None)]


@pytest.mark.parametrize(("name", "template"), [("complexity", "no field"), ("quality", "{instruction} alone"),
                                                ("complexity", "{instruction} {response}")])  # fmt: skip
def test_a_template_that_lacks_a_field_is_refused(name, template):
    with pytest.raises(ValidationError, match=r"write deita, chat, or a text with \{instruction\}"):
        SCORERS[name].params(template=template)


# The arithmetic


@pytest.mark.parametrize(
    ("logits", "expected"),
    [((0, 0, 0, 0, 0, 0), 3.5), ((1, 2, 3, 2, 1, 0), 3.072639), ((-800, -900, -900, -900, -900, -900), 1.0)],
)
def test_the_score_is_the_expectation_over_the_softmax_of_the_six(logits, expected):
    assert expectation(logits) == pytest.approx(expected, abs=1e-6)
    assert expectation([x - 12.5 for x in logits]) == pytest.approx(expected, abs=1e-6)


def test_two_turns_are_scored_alone_and_summed():
    talk = {"prompt": [user("c<2>"), says("x"), user("c<3>"), says("y")]}
    model = Sure()
    complexity = score("complexity", talk, model)
    assert [prompt for _, prompt, _ in model.asked] == [COMPLEXITY.format(instruction=q) for q in ("c<2>", "c<3>")]
    quality = score("quality", {"prompt": [user("p"), says("<4>"), user("q"), says("<5>")]})
    assert complexity["complexity_scores"] == pytest.approx([2, 3])
    assert quality["quality_scores"] == pytest.approx([4, 5])
    assert (complexity["complexity"], quality["quality"]) == pytest.approx((5, 9))


@pytest.mark.parametrize(("agg", "value"), [("sum", 6), ("mean", 3), ("max", 4)])
def test_what_is_made_of_the_turns(agg, value):
    talk = {"prompt": [user("<2>"), says("x"), user("<4>")]}
    assert score("complexity", talk, agg=agg)["complexity"] == pytest.approx(value)


def test_which_reply_belongs_to_a_turn():
    talk = [
        {"role": "system", "content": "s"}, says("greeting"), user("a"), user("b"), says("call"), says(None),
        {"role": "tool", "content": "t"}, says("after the tool"), user("c"),
    ]  # fmt: skip
    assert turns_of(talk) == [("a", ""), ("b", "after the tool"), ("c", "")]


def test_a_last_turn_without_a_reply_has_an_empty_one():
    model = Sure()
    score("quality", {"prompt": [user("<1>"), says("x"), user("<2>")]}, model)
    assert model.asked[1][1] == QUALITY.format(instruction="<2>", response="")


# What stands beside a score, and what has none


def test_the_mass_of_the_digits_is_kept_and_flagged_when_low():
    talk = {"prompt": "<3>"}
    assert score("complexity", talk)["complexity_status"] == "ok"
    low = score("complexity", talk, Sure(mass=0.49))
    assert low["complexity_digit_mass"] == pytest.approx(0.49)
    assert (low["complexity"], low["complexity_status"]) == (pytest.approx(3), "low_mass")


def test_the_response_is_cut_and_never_the_marker():
    row = {"prompt": "q", "response": "<5>" + "x" * 1000}
    whole = len(QUALITY.format(instruction="q", response=row["response"]))
    model = Sure()
    cut = score("quality", row, model, max_length=whole - 990)
    assert cut["quality_status"] == "truncated"
    assert model.asked[0][1] == QUALITY.format(instruction="q", response="<5>" + "x" * 10)
    assert score("quality", row, max_length=whole)["quality_status"] == "ok"
    with pytest.raises(RowError, match="longer than max_length even without the text to cut, by 13 characters"):
        score("quality", row, max_length=whole - 1003 - 13)


def test_a_digit_that_the_model_does_not_show_is_no_score():
    with pytest.raises(RowError, match=r"shows no log-probability of 2, 6 as the next token"):
        score("complexity", {"prompt": "<3>"}, Sure(hidden=("2", "6")))
    kept = score("complexity", {"prompt": "<3>"}, Sure(hidden=("2", "6")), compat=True)
    assert (kept["complexity"], kept["complexity_status"]) == (3.0, "fallback")


@pytest.mark.parametrize(
    ("name", "row", "why"),
    [
        ("complexity", {"prompt": None}, "null or empty"),
        ("complexity", {"prompt": []}, "null or empty"),
        ("complexity", {"prompt": [says("x")]}, "no user's turn"),
        ("quality", {"prompt": [user("<1>"), says("x"), user(None), says("y")]}, "user turn 2 has no text"),
        ("quality", {"prompt": "q", "response": None}, "no response"),
        ("quality", {"prompt": "q"}, "no response"),
    ],
)
def test_rows_without_a_turn_have_a_reason_and_no_call(name, row, why):
    model = Sure()
    with pytest.raises(RowError, match=why):
        score(name, row, model)
    assert model.asked == []


# In a table

SPEC = """
models:
  digits:
    use: scripted
    params:
      replies:
        - {match: "##Query: hidden", logprobs: {"1": -1.0, "2": -1.0}}
        - {match: "##Query: one", logprobs: {"1": 0.0, "2": -99, "3": -99, "4": -99, "5": -99, "6": -99}}
        - {match: "##Complexity", logprobs: {"1": -99, "2": -99, "3": 0.0, "4": -99, "5": -99, "6": -99}}
        - {match: "##Quality", logprobs: {"1": -99, "2": -99, "3": -99, "4": 0.0, "5": -99, "6": -99}}
  vectors: {use: hashing, params: {dim: 16}}
tables:
  pool:
    source: data.jsonl
    params: {shape: raw}
    scores:
      - {score: deita_complexity, model: digits}
      - {score: deita_quality, model: digits}
      - {score: embedding, model: vectors, columns: {text: instruction}}
  kept: {select: deita, from: pool, params: {budget: 3, max_similarity: 1.0}}
"""
TALKS = {
    "two turns": [user("first"), says("a"), user("second"), says("b")],
    "one": [user("one"), says("a")],
    "hidden": [user("hidden"), says("a")],
}


def test_a_table_is_selected_by_the_product_summed_over_turns(tmp_path):
    rows = [{"instruction": name, "messages": talk} for name, talk in TALKS.items()]
    project = Project(tmp_path).data(rows).spec(SPEC)
    project.build()
    found = project.sql("SELECT instruction, complexity, quality, complexity_status, quality_status FROM pool")
    assert {name: rest for name, *rest in found} == {
        "two turns": [6.0, 8.0, "ok", "ok"],
        "one": [1.0, 4.0, "ok", "ok"],
        "hidden": [None, 4.0, None, "ok"],
    }
    assert project.sql("SELECT instruction FROM kept ORDER BY select_rank") == [("two turns",), ("one",)]
    why = json.dumps(project.sql("SELECT * FROM drops") + project.sql("SELECT error FROM errors"), default=str)
    assert "no_score" in why
    assert "no log-probability of 3, 4, 5, 6" in why
