import pyarrow as pa
import pytest
from operators.fakes import FakeContext, table

from engine.needs import SideTable
from engine.registry import operator

ROUGE_L = operator("score", "rouge_l")


def score(texts, references):
    side = table(text=pa.array(references, pa.string()))
    ctx = FakeContext(sides={"references": SideTable(side)})
    return ROUGE_L.fn(table(text=pa.array(texts, pa.string())), ROUGE_L.params(), ctx).to_pylist()


def test_by_hand():
    """Common to "a b c" are 2 words with "a x c" (4 of 6), 3 with "A, b, c!" (6 of 6), and none with a null."""
    row, null = score(["a b c", None], ["a x c", "A, b, c!", None])
    assert row["avg_similarity"] == pytest.approx((4 / 6 + 1) / 3)
    assert (row["max_rouge_l"], row["error"]) == (1.0, None)
    assert (null["avg_similarity"], null["max_rouge_l"], null["error"]) == (None, None, "the text is null")


def test_nothing_to_compare_with():
    assert score(["a"], []) == [
        {"row_id": "r0", "avg_similarity": None, "max_rouge_l": None, "error": "there are no references"}
    ]
    assert score([], ["a"]) == []


def test_many_references_are_one_mean():
    (row,) = score(["a b"], ["a b"] * 300 + ["c d"] * 300)
    assert (row["avg_similarity"], row["max_rouge_l"]) == (0.5, 1.0)
