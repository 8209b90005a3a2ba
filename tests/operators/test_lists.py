"""Numbered lists as models write them."""

import pytest

from engine.operators._lists import labelled, numbered

FOUR = ["one", "two", "three", "four"]
LABELS = ("rubric", "action")


@pytest.mark.parametrize(
    "reply",
    [
        "1. one\n2. two\n3. three\n4. four",
        "Here they are:\n\n1) one\n\n2) two\n\n3) three\n\n4) four",
        "(1) one\n(2) two\n(3) three\n(4) four",
        "**1.** one\n**2.** two\n**3.** three\n**4.** four",
        "**1. one**\n**2. two**\n**3. three**\n**4. four**",
        "### Instruction 1: one\n### Instruction 2: two\n**Instruction 3:** three\ninstruction 4: four",
        "  1. one\n  2. two\n  3. three\n  4. four\n",
        "1.one\n2.two\n3.three\n4.four",
        "- 1. one\n- 2. two\n- 3. three\n- 4. four",
    ],
)
def test_numbers_in_many_shapes(reply):
    assert numbered(reply, "instruction") == FOUR


def test_lines_up_to_the_next_item_belong_to_an_item():
    reply = (
        "1. Mend this:\n\n```\nx = 1.\n```\n2. Sort:\n   1. tea\n   3. milk\n2019. A year\n1. salt\n3. At 4:30, what?"
    )
    assert numbered(reply) == [
        "Mend this:\n\n```\nx = 1.\n```",
        "Sort:\n   1. tea\n   3. milk\n2019. A year\n1. salt",
        "At 4:30, what?",
    ]


@pytest.mark.parametrize(
    "reply", ["", "\n \n", '{"instructions": ["a", "b"]}', "2. two\n3. three", "1.5 litres", "one"]
)
def test_what_is_no_list(reply):
    assert numbered(reply) == []


def test_the_numbers_go_on_or_the_list_ends():
    assert numbered("1. one\n2. two\n4. four") == ["one", "two\n4. four"]
    assert numbered("Question 1: one") == []


RUBRICS, ACTIONS = [f"rubric {k} of it" for k in range(4)], [f"do {k} to it" for k in range(4)]


def items(texts, form="{k}. {text}"):
    return "\n".join(form.format(k=k, text=text) for k, text in enumerate(texts, 1))


@pytest.mark.parametrize(
    "reply",
    [
        f"Rubrics:\n{items(RUBRICS)}\n\nActions:\n{items(ACTIONS)}",
        f"Actions:\n{items(ACTIONS)}\n\nRubrics:\n{items(RUBRICS)}",
        f"## Rubrics\n{items(RUBRICS)}\n\n## Corresponding actions\n{items(ACTIONS)}\n\nThey will make it harder.",
        f"**Rubrics:**\n\n{items(RUBRICS, '**{k}.** {text}')}\n\n**Actions**:\n\n{items(ACTIONS, '{k}) {text}')}",
        f"{items(RUBRICS, 'Rubric {k}: {text}')}\n{items(ACTIONS, '**Action {k}:** {text}')}",
        f"Here are 4 rubrics.\n{items(RUBRICS, 'Rubric {k}: {text}')}\nActions\n{items(ACTIONS)}",
        "\n".join(f"**Rubric {k}:** {RUBRICS[k - 1]}\n- Action {k}: {ACTIONS[k - 1]}" for k in (1, 2, 3, 4)),
        "Rubrics:\n" + items(RUBRICS, "{k}.\n   {text}") + "\nActions:\n" + items(ACTIONS),
    ],
)
def test_two_lists_in_many_shapes(reply):
    assert labelled(reply, LABELS) == {"rubric": RUBRICS, "action": ACTIONS}


def test_items_under_no_label_belong_to_no_list():
    """One list can't be taken for another: rubrics are no actions."""
    assert labelled(items(RUBRICS + ACTIONS), LABELS) == {"rubric": [], "action": []}
    both = f"Rubrics and actions:\n{items(RUBRICS)}"
    assert labelled(both, LABELS) == {"rubric": [], "action": []}
    assert labelled(f"Rubrics:\n{items(RUBRICS)}", LABELS) == {"rubric": RUBRICS, "action": []}
