import numpy as np
import pyarrow as pa
from operators.fakes import run, table

from engine.registry import operator
from engine.schema import MESSAGES

EXACT = operator("score", "exact_duplicate")
TEXTS = ["a", "A ", None, "a", "b  c", "B\u00a0c", None, ""]


def found(texts, **options):
    scores = run(EXACT, table(text=pa.array(texts, pa.string())), part_rows=3, **options).to_pylist()
    return [(row["exact_duplicate_of"], row["exact_duplicates"]) for row in scores]


def test_every_character_counts():
    unique = (None, 1)
    assert found(TEXTS) == [(None, 2), unique, (None, None), ("r0", 2), unique, unique, (None, None), unique]


def test_but_for_case_and_white_space():
    by_hand = [(None, 3), ("r0", 3), (None, None), ("r0", 3), (None, 2), ("r4", 2), (None, None), (None, 1)]
    assert found(TEXTS, normalize="case_and_space") == by_hand


def test_a_null_has_a_reason():
    scores = run(EXACT, table(text=pa.array(["a", None])))
    assert scores["error"].to_pylist() == [None, "the text is null"]


def test_conversations():
    def talk(*turns):
        return [{"role": role, "content": content} for role, content in turns]

    same = talk(("user", "hi"), ("assistant", "yes"))
    given = pa.array([same, talk(("user", "hi"), ("user", "yes")), None, same], MESSAGES)
    scores = run(EXACT, table(text=given))
    assert scores["exact_duplicate_of"].to_pylist() == [None, None, None, "r0"]
    assert scores["exact_duplicates"].to_pylist() == [2, 1, None, 2]


def test_any_order_and_cut_give_what_a_loop_gives():
    rng = np.random.default_rng(0)
    texts = rng.choice(["x", "y", "z", "w w"], 100).tolist()
    ids = [f"id{i:03}" for i in rng.permutation(100)]
    first = {text: min(i for i, t in zip(ids, texts, strict=True) if t == text) for text in texts}
    given = pa.table({"row_id": ids, "text": texts})
    for part_rows in (1, 7, 100):
        for row, text in zip(run(EXACT, given, part_rows=part_rows).to_pylist(), texts, strict=True):
            expected = None if row["row_id"] == first[text] else first[text]
            assert (row["exact_duplicate_of"], row["exact_duplicates"]) == (expected, texts.count(text))


def test_a_table_without_rows():
    scores = run(EXACT, table(text=pa.array([], pa.string())))
    assert (scores.num_rows, scores.schema.field("exact_duplicate_of").type) == (0, pa.large_string())
