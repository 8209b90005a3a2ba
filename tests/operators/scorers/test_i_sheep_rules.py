import pyarrow as pa
import pytest
from operators.fakes import run, table

from engine.registry import operator

RULES = operator("score", "i_sheep_rules")
ASKED = "Name some rivers."


def score(*rows):
    instruction, given, response = zip(*rows, strict=True)
    batch = table(
        instruction=pa.array(instruction, pa.string()),
        input=pa.array(given, pa.string()),
        response=pa.array(response, pa.string()),
    )
    return run(RULES, batch).to_pylist()


@pytest.mark.parametrize(
    ("response", "rule"),
    [
        ("The Rhine and the Elbe.", None),
        ("", "empty"),
        (" \n", "empty"),
        (None, "empty"),
        ("The Rhine.\nUser: And?", "role_or_label"),
        ("assistant\nThe Rhine.", "role_or_label"),
        ("Output: The Rhine.", "role_or_label"),
        ("The user: a person.", None),
        ("My users\nlike it.", None),
        ("Answer Choices: the Rhine, the Elbe", "answer_choices"),
        ("<noinput>", "no_input_left"),
        ("The Rhine.\n\nCan you name lakes too?", "new_question"),
        ("The Rhine.\n\nDo you swim.", "new_question"),
        ("The Rhine.\n\nWhich is the longest?\n\nThe Volga.", "new_question"),
        ("The Rhine.\n\nWhich is the longest? I think the Volga.", None),
        ("Which is the longest? The Volga.", None),
        ("The Rhine.\n\n" + "long " * 30 + "?", None),
        ("A. the Rhine\nB. the Elbe", "multiple_choice"),
        ("It is (B).", "multiple_choice"),
        ("Vitamin A. It helps.", None),
        ("莱茵河", "chinese"),
    ],
)
def test_rules_for_answers(response, rule):
    assert score((ASKED, "", response))[0]["rule_filter"] == rule


@pytest.mark.parametrize(
    ("instruction", "given", "rule"),
    [
        (ASKED, "<insert text here>", "placeholder"),
        ("Write to [your name].", "", "placeholder"),
        (ASKED, "None", "none_as_input"),
        (ASKED, "No input needed.", "none_as_input"),
        (ASKED, "none of them is short", None),
        ("Sort b a.", "b a", "input_in_instruction"),
        ("Sort b a.", "c (a+", None),  # no pattern, a text
        ("Sort b a.", None, None),
    ],
)
def test_rules_for_instructions_and_inputs(instruction, given, rule):
    assert score((instruction, given, "a b"))[0]["rule_filter"] == rule


def test_every_row_has_its_own_reason_and_none_is_lost():
    rows = score((ASKED, "", "The Rhine."), (ASKED, "", ""), (ASKED, "none", "The Rhine."))
    assert [row["rule_filter"] for row in rows] == [None, "empty", "none_as_input"]
    assert run(RULES, table(instruction=pa.array([], pa.string()), response=pa.array([], pa.string()))).num_rows == 0
    no_input = table(instruction=pa.array([ASKED]), response=pa.array(["The Rhine."]))
    assert run(RULES, no_input)["rule_filter"].to_pylist() == [None]
