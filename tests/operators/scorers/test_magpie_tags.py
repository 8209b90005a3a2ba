import json

import pyarrow as pa
import pytest
from operators.direct import answers, scripted
from project import Project

from engine.errors import RowError
from engine.registry import operator

DIFFICULTY, QUALITY, CATEGORY = (operator("score", f"magpie_{name}") for name in ("difficulty", "quality", "category"))
ROW = {"instruction": "What is {tea}?"}


def judged(op, reply, row=ROW):
    """The tags from a reply; the model goes on from the `{` that it was given."""
    text = reply if isinstance(reply, str) else json.dumps(reply)[1:]
    return answers(op, scripted([], default=text.replace("{n}", "{ n}")), row)


def test_difficulty():
    found = {"intent": "to know {tea}", "knowledge": "tea", "difficulty": "Very Easy"}
    assert judged(DIFFICULTY, found) == {**found, "difficulty": "very easy"}


def test_quality_with_braces_and_line_breaks_in_its_explanation():
    reply = '"explanation": "clear, {a: {b}} } and\nshort", "input_quality": "good"}\nI hope that {helps}.'
    assert judged(QUALITY, reply) == {
        "quality_explanation": "clear, {a: {b}} } and\nshort",
        "input_quality": "good",
    }


@pytest.mark.parametrize("tag", ["Others", "Other", "others"])
def test_others_is_a_category(tag):
    found = {"primary_tag": tag, "other_tags": ["Math", "Other"]}
    assert judged(CATEGORY, found) == {"task_category": "Others", "other_task_category": ["Math", "Others"]}


@pytest.mark.parametrize(
    ("op", "reply", "why"),
    [
        (QUALITY, "no json at all", "no JSON object"),
        (QUALITY, '"explanation": "cut', "no JSON object"),
        (QUALITY, {"explanation": "fine"}, "input_quality is None"),
        (QUALITY, {"explanation": "fine", "input_quality": "superb"}, "'superb', none of: very poor"),
        (QUALITY, {"explanation": 3, "input_quality": "good"}, "explanation is 3, not a text"),
        (CATEGORY, {"primary_tag": "Math"}, "other_tags are None"),
        (CATEGORY, {"primary_tag": "Maths", "other_tags": []}, "'Maths', none of"),
        (DIFFICULTY, {"intent": "a", "knowledge": "b", "difficulty": ["easy"]}, "none of"),
    ],
)
def test_what_can_not_be_read_has_a_reason(op, reply, why):
    with pytest.raises(RowError, match=why):
        judged(op, reply)


@pytest.mark.parametrize("instruction", [None, ""])
def test_no_instruction_and_no_call(instruction):
    model = scripted([], default="x")
    with pytest.raises(RowError, match="null or empty"):
        answers(QUALITY, model, {"instruction": instruction})
    assert model.prompts == []


@pytest.mark.parametrize("op", [DIFFICULTY, QUALITY, CATEGORY])
def test_the_prompt_ends_with_the_brace_that_the_reply_goes_on_from(op):
    model = scripted([], default="}")
    with pytest.raises(RowError):
        answers(op, model, ROW)
    (asked,) = model.prompts
    assert asked.prompt.endswith("<|end|><|assistant|>{")
    assert asked.prompt.startswith("<|user|>Below is a message")
    assert asked.prompt.count("What is {tea}?") == 1
    assert "{instruction}" not in asked.prompt
    assert (asked.sampling.temperature, asked.sampling.max_tokens) == (0.0, 1024)


def test_a_table_with_tags_and_without(tmp_path):
    project = Project(tmp_path).spec("""
models:
  judge:
    use: scripted
    params:
      replies:
        - {match: tea, reply: '"explanation": "fine", "input_quality": "good"}'}
        - {match: milk, reply: 'I do not know'}
tables:
  rows: {source: data.jsonl, params: {shape: raw}, scores: [{score: magpie_quality, model: judge}]}
""")
    project.data([{"instruction": "What is tea?"}, {"instruction": "What is milk?"}]).build()
    tags = dict(project.sql("SELECT instruction, input_quality FROM rows"))
    assert tags == {"What is tea?": "good", "What is milk?": None}
    ((error,),) = project.sql("SELECT error FROM errors")
    assert "no JSON object" in error
    pa.schema(CATEGORY.writes_of(None, None))
