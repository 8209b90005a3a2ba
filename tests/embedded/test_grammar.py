"""The instruction grammar: right answers are taken, wrong ones are not; what is held back stays out of the corpus."""

from collections import Counter
from random import Random

import pyarrow.parquet as pq
import pytest

from embedded.corpus import SCHEMA, rows, write
from embedded.grammar import is_well_formed, recognise
from embedded.grammar.judging import JUDGE
from embedded.grammar.question import BEFORE_COMMANDS, BEFORE_QUESTIONS, ask, held_back, put, take
from embedded.grammar.rating import COMPLEXITY, QUALITIES, QUALITY
from embedded.grammar.skills import BY_SKILL, TASKS, TOPICS
from embedded.grammar.talk import recognise_follow_up
from embedded.questions import graded_answers, questions

LETTERS = set(' !"#()*+,-./0123456789:<=>?[]{}ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\n')
KINDS = (None, "filling", "phrasing")


@pytest.fixture(scope="module")
def corpus():
    return list(rows(12_000, 5))


@pytest.fixture(scope="module")
def asked():
    rng = Random(11)
    return [ask(task, rng, held) for task in TASKS for held in KINDS for _ in range(12)]


def turns(row):
    return [message for message in row["messages"] if message["role"] != "system"]


def test_the_grammar_is_large():
    assert len({task.name for task in TASKS}) == len(TASKS) >= 60
    assert sum(len(task.phrasings) for task in TASKS) >= 400
    assert set(BY_SKILL) == set(TOPICS)
    assert all(len(task.phrasings) >= 5 and len(set(task.phrasings)) == len(task.phrasings) for task in TASKS)
    assert {task.complexity for task in TASKS} == {1, 2, 3, 4, 5}


def test_no_phrasing_is_another_one_nor_another_one_behind_an_opening():
    counts = Counter(phrasing for task in TASKS for phrasing in task.phrasings)
    assert max(counts.values()) == 1
    openings = (*BEFORE_COMMANDS, *BEFORE_QUESTIONS)
    assert not [phrasing for phrasing in counts for opening in openings if take(opening, phrasing) in counts]


def test_an_instruction_is_recognised_as_what_it_asks(asked):
    for question in asked:
        found = recognise(question.instruction)
        assert found is not None, question.instruction
        assert (found.task.name, dict(found.slots)) == (question.task.name, dict(question.slots)), question.instruction
        assert (found.phrasing, found.brief) == (question.phrasing, question.brief), question.instruction
        assert found.check(question.response), question.instruction
        assert question.check(found.response), question.instruction


@pytest.mark.parametrize(
    ("instruction", "answer"),
    [
        ("What is 7 + 5?", "7 + 5 = 12."),
        ("Please sort these numbers: 14, 3, 9.", "In order: 3, 9, 14."),
        ("Here is a question: What is the capital of Peru?", "The capital of Peru is Lima."),
        ("Could you spell the word mouse?", "The word mouse is spelled m-o-u-s-e."),
        ("What is the plural of mouse? Only give the answer.", "Mice"),
        ("Which of these is a fruit: table, pear or lion?", "The word pear is a fruit."),
        ("Find the odd one out: cat, dog, hammer, lion.",
         "The word hammer does not fit, because the others are animals."),
        ("Say this politely: Close the door.", "Could you please close the door?"),
        ("Make a question from this: Anna sees a fox.", "Does Anna see a fox?"),
        ("Tom is taller than Ben. Ben is taller than Zoe. Who is the shortest?",
         "Zoe is the shortest, because Zoe is shorter than Ben and Ben is shorter than Tom."),
        ("Write Python code that prints tea.", 'You can write: print("tea")'),
        ("Translate the word water into French.", "In French, water is eau."),
        ("Is it true that the cat is bigger than the horse?", "No, the cat is smaller than the horse."),
        ("Mia is a name.", None),
        ("What is 7 + 500?", None),
        ("What is the capital of Atlantis?", None),
        ("What is the capital of Peru", None),
        ("what is the capital of Peru?", None),
        ("What is the capital of Peru? What is the capital of Chile?", None),
        ("Is an eagle an animal?", None),
        ("Sort these numbers: 3, 3, 9.", None),
        ("", None),
        ("   ", None),
    ],
)  # fmt: skip
def test_known_answers(instruction, answer):
    found = recognise(instruction)
    assert (found and found.response) == answer


@pytest.mark.parametrize(
    ("instruction", "well_formed"),
    [
        ("Remove pea from this list: pea, pea, hat.", True),  # a list has no word twice
        ("Is the mouse bigger than the mouse?", True),
        ("What is 900 + 12?", True),  # the grammar stays below
        ("Tell me whether a eagle is a bird.", False),
        ("Is the bigger than the rabbit?", False),
        ("What is an omelet?", False),
        ("", False),
    ],
)
def test_well_formed_is_less_than_answerable(instruction, well_formed):
    assert recognise(instruction) is None
    assert is_well_formed(instruction) is well_formed


def test_what_is_asked_is_well_formed(asked):
    assert all(is_well_formed(question.instruction) for question in asked)


def test_checkers_refuse_what_is_wrong(asked):
    rng = Random(3)
    for question in asked:
        assert not question.check(""), question.instruction
        assert not question.check("I do not know."), question.instruction
        assert not question.check("The capital of France is Berlin."), question.instruction
        other = ask(rng.choice(TASKS), rng)
        if other.task.skill != question.task.skill:
            assert not question.check(other.answer.text), (question.instruction, other.answer.text)


def test_open_answers_need_what_was_asked_for():
    story = recognise("Write a story about Anna the fox on a farm.")
    assert story.check("Anna was a fox who lived on a farm. One day, Anna ran away.")
    assert not story.check("Anna was a fox who lived on a farm. Anna was a")
    assert not story.check("Anna was a fox who lived on a farm.")
    assert not story.check("Tom was a fox who lived on a farm. He ran away.")
    assert not story.check("Anna was a fox on a farm. Anna was a fox on a farm.")
    listed = recognise("Name three fruits.")
    assert listed.check("Three fruits are apple, pear and lemon.")
    assert listed.check("pear, apple, lemon")
    for wrong in ("apple and pear", "apple, pear and pear", "apple, pear and carrot", "apple, pear, lemon and grape"):
        assert not listed.check(wrong)
    assert recognise("What rhymes with cat?").check("Hat")
    assert not recognise("What rhymes with cat?").check("The word cat rhymes with cat.")


def test_code_is_taken_letter_by_letter():
    code = recognise("Write Python code that prints tea.")
    assert code.check('print("tea")')
    assert not code.check('Print("tea")')
    assert not code.check('print("tea").')


def test_openings_come_off_again():
    for opening in (*BEFORE_COMMANDS, *BEFORE_QUESTIONS):
        text = "Spell the word cat." if opening in BEFORE_COMMANDS else "What is 2 + 2?"
        assert take(opening, put(opening, text)) == text


def test_the_same_seed_gives_the_same_rows_and_a_longer_corpus_begins_with_a_shorter(corpus):
    assert list(rows(300, 5)) == corpus[:300]
    assert list(rows(300, 6)) != corpus[:300]


def test_the_corpus_holds_nothing_that_is_held_back(corpus):
    seen = 0
    for row in corpus:
        if row["messages"] is None:
            before, after = (
                ("##Query: ", "  \n##Complexity: ") if "##Query: " in row["prompt"] else ("#:\n", "\n#Response#:")
            )
            text = row["prompt"].split(before, 1)[1].split(after, 1)[0]
        else:
            text = turns(row)[0]["content"]
        question = recognise(text)
        if question is not None and question.task.name == JUDGE.name:
            question = recognise(question.slots["question"])
        assert question is not None, text
        assert held_back(question.task, question.slots, question.phrasing) is None, text
        seen += 1
    assert seen == len(corpus)


def test_conversations_are_right_turn_by_turn(corpus):
    talks = [turns(row) for row in corpus if row["messages"] and row["task"] != JUDGE.name]
    for talk in talks:
        question = recognise(talk[0]["content"])
        assert question.check(talk[1]["content"]), talk
        for before, asked, answered in zip(talk[1::2], talk[2::2], talk[3::2], strict=False):
            question = recognise_follow_up(question, before["content"], asked["content"])
            assert question is not None, talk
            assert question.check(answered["content"]), talk
    assert Counter(map(len, talks)).keys() == {2, 4, 6}


def test_a_follow_up_refers_to_the_turn_before():
    first = recognise("What is the opposite of hot?")
    again = recognise_follow_up(first, first.response, "And of big?")
    assert again.response == "The opposite of big is small."
    assert again.complexity == first.complexity + 1
    assert recognise_follow_up(first, first.response, "Now add 3.") is None
    guessed = recognise("What do you call a wild animal with red fur and a bushy tail?")
    for text, response in (("Shorter, please.", None), ("Are you sure?", "Yes, I am sure. That is a fox.")):
        followed = recognise_follow_up(guessed, guessed.response, text)
        assert (followed and followed.response) == response
    picked = recognise("Which word is a bird: owl, chair, tea?")
    spelled = recognise_follow_up(picked, picked.response, "Spell that word.")
    assert spelled.response == "The word owl is spelled o-w-l."
    assert [turn["content"] for turn in spelled.messages][1:] == ["The word owl is a bird.", "Spell that word."]


def test_questions_held_back_are_new_and_distinct():
    for kind in ("filling", "phrasing"):
        found = questions(700, 4, held_back=kind)
        assert len({question.instruction for question in found}) == 700
        assert all(held_back(q.task, q.slots, q.phrasing) == kind for q in found)
        assert len({q.task.name for q in found}) > 100
        assert [q.instruction for q in questions(700, 4, held_back=kind)] == [q.instruction for q in found]


def test_planted_quality_agrees_with_the_checkers():
    graded = graded_answers(1500, 4)
    assert len(graded) == 1500
    counts = Counter(quality for _, _, quality in graded)
    assert set(counts) == set(QUALITIES)
    assert min(counts.values()) > 150
    for instruction, response, quality in graded:
        question = recognise(instruction)
        assert held_back(question.task, question.slots, question.phrasing) == "filling"
        if quality >= 5:
            assert question.check(response), (instruction, response)
        if quality <= 3:
            assert not question.check(response), (instruction, response)


def test_rating_rows_are_the_scorers_prompts(corpus):
    assert COMPLEXITY.format(instruction="Q") == (
        "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
        "##Query: Q  \n##Complexity: "
    )
    assert QUALITY.format(instruction="Q", output="A") == (
        "You are a helpful assistant. Please identify the quality score of the Response corresponding to the Question. "
        "\n #Question#:\nQ\n#Response#:\nA \n##Quality: "
    )
    rating = [row for row in corpus if row["kind"] == "rating"]
    assert 0.23 < len(rating) / len(corpus) < 0.27
    for row in rating:
        assert row["messages"] is None
        assert int(row["completion"]) in QUALITIES
        if row["prompt"].endswith("##Complexity: "):
            assert int(row["completion"]) == row["complexity"]
    assert all(row["prompt"] is None and row["completion"] is None for row in corpus if row["kind"] == "chat")


def test_rows_are_short_plain_text(corpus):
    texts = [
        "".join(m["content"] for m in row["messages"]) if row["messages"] else row["prompt"] + row["completion"]
        for row in corpus
    ]
    assert set("".join(texts)) <= LETTERS
    assert sum(map(len, texts)) / len(texts) < 200
    assert max(map(len, texts)) < 900
    assert all("\n" not in m["content"] for row in corpus if row["messages"] for m in row["messages"])


def test_instructions_vary(corpus):
    first = [turns(row)[0]["content"] for row in corpus if row["messages"]]
    assert len(set(first[:1000])) >= 980


def test_written_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("embedded.corpus.PART", 300)
    write(tmp_path / "corpus.parquet", 1000, 5)
    table = pq.read_table(tmp_path / "corpus.parquet")
    assert table.schema.equals(SCHEMA)
    assert table.to_pylist() == list(rows(1000, 5))
    assert pq.ParquetFile(tmp_path / "corpus.parquet").num_row_groups == 4
