"""Prompts and blocks of I-SHEEP's first step, and the answers of its second, on scripts."""

import asyncio

import pyarrow as pa
import pytest
from operators.direct import answers, scripted
from operators.fakes import FakeContext

from engine.errors import RowError, SetwrightError
from engine.needs import SideTable
from engine.operators.generators._i_sheep_tasks import failed_rule, read_tasks
from engine.registry import operator
from engine.request import Capability, Sampling

I_SHEEP = operator("generate", "i_sheep")
ANSWER = operator("generate", "i_sheep_answer")
SEEDS = [{"instruction": f"Say the number {n}  aloud,\nplease.", "input": "" if n % 2 else f"n={n}"} for n in range(9)]
LIST = """Name five famous rivers of Europe.
6. Input:
<noinput>
###
7. Instruction: Sort these words by length.
7. Input:
pear, fig, banana
###
8. Instruction: This block has no input.
###
9. Instruction: Draw me a nice picture of it.
9. Input: <NoInput>
###
10. Instruction: And this one is cu"""


def ask(model, seeds=SEEDS, seed=17, row_id="r0", **params):
    table = pa.table({"row_id": [str(i) for i in range(len(seeds))]} | {
        name: pa.array([seed[name] for seed in seeds], pa.string()) for name in ("instruction", "input")
    })  # fmt: skip
    ctx = FakeContext(seed, model, sides={"seeds": SideTable(table)})
    return asyncio.run(I_SHEEP.fn({"row_id": row_id}, I_SHEEP.params(**params), ctx))


def answer(row, reply="Yes.", **params):
    model = scripted([], default=reply)
    return model, answers(ANSWER, model, row, **params)


def test_the_prompt_shows_five_seeds_as_the_beginning_of_a_list():
    model = scripted([], default=LIST)
    rows = ask(model, form="base")
    (asked,) = model.prompts
    chosen = rows[0]["prompt_seed_ids"]
    assert len(set(chosen)) == 5
    blocks = [
        f"{n}. Instruction: Say the number {i} aloud, please.\n{n}. Input:\n{'<noinput>' if i % 2 else f'n={i}'}\n"
        for n, i in enumerate(chosen, 1)
    ]
    assert asked.prompt.endswith("\n\n" + "###\n".join([*blocks, "6. Instruction:"]))
    assert asked.sampling == Sampling(temperature=1.0, top_p=0.95, max_tokens=1000, stop=("17",))


def test_blocks_are_rows_and_the_bad_ones_say_why():
    rows = ask(scripted([], default=LIST))
    assert [(row["instruction"], row["input"], row["prompt_filter"], row["block"]) for row in rows] == [
        ("Name five famous rivers of Europe.", "", None, 0),
        ("Sort these words by length.", "pear, fig, banana", None, 1),
        (None, None, "malformed_block", 2),
        ("Draw me a nice picture of it.", "", "beyond_text", 3),
        (None, None, "last_block", 4),
    ]
    assert rows[4]["raw"] == "\n10. Instruction: And this one is cu"


def test_the_last_block_is_dropped_though_it_is_whole():
    tasks = list(read_tasks("6. Instruction: Tell me a short joke.\n6. Input:\n<noinput>\n"))
    assert [task.filter for task in tasks] == ["last_block"]


@pytest.mark.parametrize(
    "block",
    [
        "6. Instruction: Tell me a joke now.\n7. Input: x",
        "6. Input: x\n6. Instruction: Tell me a joke now.",
        "6. Instruction: Tell me a joke now.\n6. Input: x\n6. Input: y",
        "Sure!\n6. Instruction: Tell me a joke now.\n6. Input: x",
        "6) Instruction: Tell me a joke now.\n6) Input: x",
        "rubbish",
        "这是中文",
    ],
)
def test_other_blocks_than_number_instruction_input_are_malformed(block):
    assert [task.filter for task in read_tasks(f"{block}\n###\n")] == ["malformed_block"]


@pytest.mark.parametrize(
    ("instruction", "given", "rule"),
    [
        ("Tell me more", "", "too_short"),
        ("Tell me more now", "", None),
        (" ".join(["word"] * 150), "", None),
        (" ".join(["word"] * 151), "", "too_long"),
        ("Please go to the shop", "", "beyond_text"),
        ("Describe the IMAGE in words", "", "beyond_text"),
        ("What does the text show?", "a map of it", "beyond_text"),
        ("What is the profile of him?", "", None),  # whole words alone: "file" is none here
        ("Écris un petit poème ici", "", "first_character"),
        ('"Well" means what in here?', "", "first_character"),
        ("3 times 4 is what?", "", None),
        ("Sort the words: <no input>", "", "marker_left"),
        ("Sort the words of it", "b a\n7. Output: a b", "label_inside"),
        ("Sort the words of it", "see https://example.org", "url"),
    ],
)
def test_rules_for_prompts(instruction, given, rule):
    assert failed_rule(instruction, given) == rule


@pytest.mark.parametrize("lead", ["", "6. Instruction: ", "\n 6. Instruction: "])
def test_a_tuned_model_is_asked_as_a_user_and_may_repeat_the_label(lead):
    model = scripted([], default=lead + LIST)
    rows = ask(model, form="chat")
    assert not model.prompts
    assert [turn["role"] for turn in model.chats[0].messages] == ["user"]
    assert model.chats[0].messages[0]["content"].endswith("6. Instruction:")
    assert rows[0]["instruction"] == "Name five famous rivers of Europe."


def test_what_the_model_must_offer_depends_on_the_form():
    needs = {form: I_SHEEP.roles_of(I_SHEEP.params(form=form))["model"].needs for form in ("base", "chat")}
    assert needs == {"base": {Capability.GENERATE}, "chat": {Capability.CHAT}}


def test_draws_depend_on_seed_and_row_alone():
    def drawn(**given):
        model = scripted([], default=LIST)
        rows = ask(model, **given)
        return model.prompts[0].draw, rows[0]["prompt_seed_ids"]

    assert drawn() == drawn()
    assert drawn() != drawn(row_id="r1")
    assert drawn() != drawn(seed=18)
    picked = [drawn(row_id=f"r{i}")[1] for i in range(60)]
    assert {i for ids in picked for i in ids} == set(range(9))  # any seed may come


@pytest.mark.parametrize("reply", ["", " \n"])
def test_an_empty_reply_is_an_error_of_its_row(reply):
    with pytest.raises(RowError, match="reply is empty"):
        ask(scripted([], default=reply))


def test_repeated_and_empty_seeds_are_never_shown_twice():
    seeds = [{"instruction": "Say it aloud now.", "input": ""}] * 3 + [{"instruction": None, "input": "x"}]
    with pytest.raises(SetwrightError, match="1 different instructions in 4 rows, and a prompt shows 2") as error:
        ask(scripted([], default=LIST), seeds=seeds, demonstrations=2)
    assert "demonstrations" in error.value.cure
    rows = ask(scripted([], default=LIST), seeds=[*seeds, SEEDS[0]], demonstrations=2)
    assert 4 in rows[0]["prompt_seed_ids"]


def test_a_base_model_is_given_instruction_input_and_a_line_break():
    model, (row,) = answer({"instruction": "Sort them.", "input": "b a"})
    assert model.prompts[0].prompt == "Sort them.\nb a\n"
    assert (row["response"], row["finish_reason"]) == ("Yes.", "stop")
    model, _ = answer({"instruction": "Sort them.", "input": "b a"}, separator="")
    assert model.prompts[0].prompt == "Sort them.b a\n"
    model, _ = answer({"instruction": "Why?", "input": None})
    assert model.prompts[0].prompt == "Why?\n"


def test_a_tuned_model_has_a_system_turn_and_rows_to_train_on_have_it_too():
    turns = ({"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": "Why?"})
    model, (row,) = answer({"instruction": "Why?"}, form="chat")
    assert model.chats[0].messages == turns
    assert row["messages"] == [*turns, {"role": "assistant", "content": "Yes."}]
    model, _ = answer({"instruction": "Why?"}, form="chat", system=None)
    assert model.chats[0].messages == turns[1:]


@pytest.mark.parametrize("reply", ["答案: The Rhine.\n", "\n回答\uff1a The Rhine.", "The Rhine. "])
def test_the_chinese_word_for_answer_before_one_is_taken_away(reply):
    _, (row,) = answer({"instruction": "Why?"}, reply=reply)
    assert (row["response"], row["raw_response"]) == ("The Rhine.", reply)
    assert row["messages"][-1]["content"] == "The Rhine."


def test_an_empty_answer_is_kept_and_an_empty_instruction_is_none():
    assert answer({"instruction": "Why?"}, reply="")[1][0]["response"] == ""
    with pytest.raises(RowError, match="no instruction"):
        answer({"instruction": None})
