"""Seeds to metadata, and metadata to basic instructions."""

import pytest
from operators.fakes import FakeContext
from operators.talker import Talker, in_turn, made
from pydantic import ValidationError

from engine.errors import RowError
from engine.operators.generators.codeclm_encode import read_metadata
from engine.registry import operator
from engine.request import Answer

ENCODE, DECODE = operator("generate", "codeclm_encode"), operator("generate", "codeclm_decode")
PLAUSIBLE = operator("score", "metadata_plausibility")


def encoded(model, instruction="Name a tea.", **params):
    (row,) = made(ENCODE, {"instruction": instruction}, context=FakeContext(model=model), **params)
    return row


@pytest.mark.parametrize(
    ("reply", "use_case", "skills"),
    [
        ("Use case: tea advice\nSkills: leaf lore, brewing", "tea advice", ["leaf lore", "brewing"]),
        ("Task: tea advice\nSkills: leaf lore", "tea advice", ["leaf lore"]),
        ("**Use Case:** tea advice\n**Skills:** leaf lore, brewing.", "tea advice", ["leaf lore", "brewing"]),
        ("Sure!\n\nskills : a, b, , b\nTASK: c: d", "c: d", ["a", "b"]),
        ("- Use case: tea\n- Skills: a, b, c, d", "tea", ["a", "b", "c"]),
    ],
)
def test_both_labels_are_read_and_the_fourth_skill_is_cut(reply, use_case, skills):
    model = in_turn(reply)
    row = encoded(model)
    assert (row["use_case"], row["skills"], row["tries"], row["reason"]) == (use_case, skills, 1, None)
    assert (row["raw"], row["seed_instruction"]) == (reply, "Name a tea.")
    assert model.asked[0].prompt.endswith("Instruction: Name a tea.")
    assert (model.asked[0].sampling.temperature, model.asked[0].sampling.max_tokens) == (0.7, 256)


ECHO = Talker(lambda prompt, _: prompt)
ENDLESS = Answer(text="Use case: a\nSkills: b\n" + "so " * 250, finish_reason="length")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (in_turn('{"use_case": "tea", "skills": ['), "no line: use case"),
        (in_turn(""), "no line: use case"),
        (in_turn(Answer(text=None)), "no line: use case"),
        (in_turn("Anwendung: Tee\nFertigkeiten: Blattkunde"), "no line: use case"),
        (in_turn("Use case: tea"), "no line: skills"),
        (in_turn("Use case: \nSkills: a"), "the line with the use case is empty"),
        (in_turn("Use case: tea\nSkills: , ,"), "the line with the skills is empty"),
        (ECHO, "4 lines: use case"),
        (in_turn(ENDLESS), "the reply is cut off at max_tokens (256)"),
    ],
)
def test_rubbish_is_asked_again_three_times_and_then_kept_with_its_reason(model, reason):
    model.asked.clear()
    row = encoded(model)
    assert (row["use_case"], row["skills"], row["reason"], row["tries"]) == (None, None, reason, 3)
    assert len({call.draw for call in model.asked}) == 3
    assert row["raw"] == (model.say(model.asked[0].prompt, 0) if model is ECHO else row["raw"])


def test_a_reply_that_can_be_read_ends_the_asking():
    row = encoded(in_turn("", "Task: tea\nSkills: a"))
    assert (row["use_case"], row["reason"], row["tries"]) == ("tea", None, 2)


def test_no_instruction_and_no_call():
    model = in_turn("")
    for instruction in (None, ""):
        with pytest.raises(RowError, match="null or empty"):
            encoded(model, instruction)
    assert model.asked == []


def test_asking_again_needs_chance():
    with pytest.raises(ValidationError, match="tries: at temperature 0"):
        ENCODE.params(temperature=0)
    assert ENCODE.params(temperature=0, tries=1).tries == 1


def test_the_examples_of_the_prompt_are_themselves_readable():
    prompt = ENCODE.params().prompts.encode
    examples = [part for part in prompt.split("Instruction: ")[1:] if "Skills:" in part]
    assert len(examples) == 3
    for example in examples:
        found = read_metadata(example)
        assert 1 <= len(found.skills) <= 3
        assert all(2 <= len(skill.split()) <= 3 for skill in found.skills)


PAIR = {"use_case": "tea advice", "skills": ["leaf lore", "brewing"], "metadata_id": "m1", "actions": ["add sugar"]}


def listing(n, start=1):
    return "Here you are:\n\n" + "\n".join(f"{k}. Ask {k + start - 1}." for k in range(1, n + 1))


def decoded(model, row=PAIR, **params):
    return made(DECODE, row, context=FakeContext(model=model), **params)


@pytest.mark.parametrize(("listed", "kept", "tries"), [(5, 5, 1), (8, 5, 1), (3, 3, 3)])
def test_every_pair_gives_so_many_instructions(listed, kept, tries):
    model = in_turn(listing(listed))
    rows = decoded(model, per_pair=5)
    assert [row["instruction"] for row in rows] == [f"Ask {k}." for k in range(1, kept + 1)]
    assert [row["number"] for row in rows] == list(range(1, kept + 1))
    assert {(row["listed"], row["tries"], row["raw"]) for row in rows} == {(listed, tries, listing(listed))}
    assert all(row.items() >= PAIR.items() for row in rows)
    assert len(model.asked) == tries
    assert "Write 5 of them for this use case: tea advice" in model.asked[0].prompt
    assert model.asked[0].sampling.temperature == 0.7


def test_a_list_that_is_too_short_is_asked_for_again_and_the_longest_one_counts():
    rows = decoded(in_turn(listing(2), listing(4, 10), listing(3)), per_pair=5)
    assert [row["instruction"] for row in rows] == ["Ask 10.", "Ask 11.", "Ask 12.", "Ask 13."]
    assert rows[0]["tries"] == 3
    assert len(decoded(in_turn(listing(2), listing(5)), per_pair=5)) == 5


def test_instructions_that_are_there_twice_or_cut_off_do_not_count():
    twice = "1. Ask a.\n2. Ask a.\n3. Ask b."
    assert [row["instruction"] for row in decoded(in_turn(twice), per_pair=3)] == ["Ask a.", "Ask b."]
    cut = Answer(text="1. Ask a.\n2. Ask b.\n3. As", finish_reason="length")
    assert [row["instruction"] for row in decoded(in_turn(cut), per_pair=3)] == ["Ask a.", "Ask b."]


@pytest.mark.parametrize(
    "model",
    [
        in_turn('["Ask a.", '), in_turn(""), in_turn(Answer(text=None)), ECHO, in_turn("1."),
        in_turn(Answer(text="1. " + "so " * 700, finish_reason="length")),
    ],
)  # fmt: skip
def test_a_pair_without_a_list_is_an_error_after_three_replies(model):
    model.asked.clear()
    with pytest.raises(RowError, match="no numbered list of instructions in 3 replies"):
        decoded(model)
    assert len({call.draw for call in model.asked}) == 3


def test_metadata_that_was_written_by_hand_needs_no_id_and_bad_metadata_costs_no_call():
    assert decoded(in_turn(listing(10)), {"use_case": "a", "skills": ["b"]})[0]["metadata_id"] == "r0"
    model = in_turn(listing(10))
    for bad in (
        {"use_case": None, "skills": ["b"]},
        {"use_case": "a", "skills": None},
        {"use_case": "a", "skills": [""]},
    ):
        with pytest.raises(RowError, match=r"null or empty|no skills"):
            decoded(model, bad)
    assert model.asked == []


@pytest.mark.parametrize(
    ("reply", "plausible"),
    [("Yes", True), ("**No**, hardly.", False), ("yes.", True), ("Yesterday", None), ("", None), ("Perhaps yes", None)],
)
def test_whether_a_pair_makes_sense(reply, plausible):
    model = in_turn(reply)
    found = made(PLAUSIBLE, PAIR, context=FakeContext(model=model))
    assert found == {"plausible": plausible, "plausible_raw": reply}
    assert "Use case: tea advice\nSkills: leaf lore, brewing" in model.asked[0].prompt
    assert model.asked[0].sampling.temperature == 0
