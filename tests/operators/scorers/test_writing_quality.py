"""The judge of writing: marks, replies that can't be read, and the two ways to go on from there."""

import json

import pytest
from operators.direct import answers, scripted
from operators.fakes import FakeModel
from project import Project
from pydantic import ValidationError

from engine.draws import draw
from engine.errors import ModelError, RowError
from engine.operators._prompts import text_of
from engine.operators.scorers.writing_quality import DIMENSIONS
from engine.registry import operator
from engine.request import Answer

QUALITY = operator("score", "writing_quality")
ROW = {"instruction": "Write on {tea}.", "response": "Tea is a drink, {instruction}."}


def reply(*marks, **further):
    return json.dumps({"analysis": "Plain.", **dict(zip(DIMENSIONS, marks, strict=False)), **further})


def judged(text, row=ROW, **params):
    return answers(QUALITY, scripted([], default=text), row, **params)


@pytest.mark.parametrize(
    ("marks", "s_q"), [((5,) * 6, 100), ((3,) * 6, 50), ((1,) * 6, 0), ((5, 4, 3, 2, 1, 1), 100 * (16 / 6 - 1) / 4)]
)
def test_the_score(marks, s_q):
    row = judged(reply(*marks))
    assert row["s_q"] == pytest.approx(s_q, abs=1e-9)
    assert [row[f"s_q_{name}"] for name in DIMENSIONS] == [25 * (mark - 1) for mark in marks]
    assert (row["s_q_analysis"], row["s_q_tries"], row["s_q_missing"]) == ("Plain.", 1, 0)
    assert row.keys() == QUALITY.writes_of(None, None).keys()


GOOD = reply(5, 4, 3, 3, 3, 3)
SPELT = (
    '{"Analysis": "Plain.", "Relevance": "5", "Accuracy": 4.0, "Coherence": 3, "Clarity": 3,\n'
    '"Breadth and Depth": 3, "Reading-Experience": 3}'
)


@pytest.mark.parametrize("text", [GOOD, f"```json\n{GOOD}\n```", f"My judgement:\n{GOOD}\nThat is {{all}}.", SPELT])
def test_what_can_be_read(text):
    assert judged(text) == judged(GOOD)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("All fine.", "no JSON object"),
        (GOOD[:-9], "no JSON object"),
        ("", "no JSON object"),
        (reply(5, 4, 3, 3, 3), "no mark from 1 to 5 for: reading_experience"),
        (reply(0, 6, 3.5, True, None, "4/5"), f"no mark from 1 to 5 for: {', '.join(DIMENSIONS)}"),
    ],
)
def test_without_all_marks_there_is_no_score(text, why):
    with pytest.raises(RowError, match=why):
        judged(text, tries=1)
    with pytest.raises(RowError, match=r"\(the last of 3 replies\)"):
        judged(text, tries=3)


def in_turn(*texts):
    """A judge that says these texts one after the other, each to its own draw."""
    said = {draw(17, "r0", k): text for k, text in enumerate(texts)}
    return FakeModel(reply=lambda drawn: Answer(text=said[drawn]))


def test_retry_asks_until_all_marks_are_there():
    model = in_turn("no", reply(5, 5), GOOD, "never asked")
    row = answers(QUALITY, model, ROW)
    assert (row["s_q_tries"], row["s_q_missing"], row["s_q"]) == (3, 0, judged(GOOD)["s_q"])
    assert len(model.chats) == 3
    failing = in_turn(*["no"] * 5)
    with pytest.raises(RowError, match=r"last of 5 replies"):
        answers(QUALITY, failing, ROW)
    assert len(failing.chats) == 5


@pytest.mark.parametrize(
    ("text", "missing", "s_q"), [("no", 6, 50), (reply(5, 5), 4, 100 * (22 / 6 - 1) / 4), (GOOD, 0, 62.5)]
)
def test_three_asks_once_and_counts_what_is_missing(text, missing, s_q):
    model = in_turn(text)
    row = answers(QUALITY, model, ROW, on_failure="three")
    assert (row["s_q_tries"], row["s_q_missing"]) == (1, missing)
    assert row["s_q"] == pytest.approx(s_q)
    assert len(model.chats) == 1


@pytest.mark.parametrize("on_failure", ["retry", "three"])
def test_a_failed_call_is_no_reply(on_failure):
    model = FakeModel(reply=lambda _: ModelError("503"))
    with pytest.raises(ModelError):
        answers(QUALITY, model, ROW, on_failure=on_failure)


def test_what_the_judge_is_asked():
    model = in_turn(GOOD)
    answers(QUALITY, model, ROW)
    ((turns, drawn, sampling),) = model.chats
    head, _, rest = text_of("writing_quality/judge").partition("{instruction}")
    middle, _, end = rest.partition("{response}")
    asked = "".join([head, ROW["instruction"], middle, ROW["response"], end])
    assert turns == [{"role": "user", "content": asked}]
    assert drawn == draw(17, "r0", 0)
    assert (sampling.temperature, sampling.max_tokens) == (0.5, 1024)
    assert text_of("writing_quality/judge").index('"analysis"') < min(
        text_of("writing_quality/judge").index(f'"{name}"') for name in DIMENSIONS
    )


def test_an_empty_response_is_judged():
    assert judged(reply(*[1] * 6), {**ROW, "response": ""})["s_q"] == 0


@pytest.mark.parametrize("row", [{**ROW, "response": None}, {**ROW, "instruction": None}, {**ROW, "instruction": ""}])
def test_nothing_to_judge_and_no_call(row):
    model = FakeModel()
    with pytest.raises(RowError, match="is null"):
        answers(QUALITY, model, row)
    assert model.chats == []


@pytest.mark.parametrize("params", [{"temperature": 0.0}, {"tries": 0}, {"on_failure": "five"}, {"max_tokens": 0}])
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        QUALITY.params(**params)
    QUALITY.params(temperature=0.0, tries=1)
    QUALITY.params(temperature=0.0, on_failure="three")


SPEC = """
models:
  judge:
    use: scripted
    params: {replies: [{match: milk, reply: I refuse.}, {match: tea, reply: 'GOOD'}]}
tables:
  rows:
    source: data.jsonl
    params: {shape: raw}
    scores: [{score: writing_quality, model: judge, params: {on_failure: HOW, tries: 2}}]
""".replace("GOOD", GOOD)


@pytest.mark.parametrize(("how", "milk", "calls"), [("retry", (None, None), 3), ("three", (50.0, 6), 2)])
def test_failures_are_counted(tmp_path, how, milk, calls):
    project = Project(tmp_path).spec(SPEC.replace("HOW", how))
    project.data([{"instruction": f"On {topic}", "response": "It is white."} for topic in ("tea", "milk")]).build()
    rows = {topic: rest for topic, *rest in project.sql("SELECT instruction, s_q, s_q_missing FROM rows")}
    assert rows == {"On tea": [62.5, 0], "On milk": list(milk)}
    assert project.calls() == calls
    failed = project.sql("SELECT count(*) FROM errors WHERE error LIKE '%(the last of 2 replies)'")
    assert failed == [(1 if how == "retry" else 0,)]
