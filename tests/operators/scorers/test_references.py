"""`score: rouge` and `score: bleu`: a text against its own references."""

import math

import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run, table

from engine.registry import operator

ROUGE, BLEU = operator("score", "rouge"), operator("score", "bleu")
TEXTS = ["the cat sat on the mat", "", None, "x", "y", "z"]
REFERENCES = [["a dog", None, "The cat, on a mat."], ["a"], ["b"], [None], [], None]
WHY = [None, None, "the text is null", *["there is no reference"] * 3]


def given(texts=TEXTS, references=REFERENCES):
    kind = pa.string() if isinstance(references[0], str) else pa.list_(pa.string())
    return table(text=pa.array(texts, pa.string()), reference=pa.array(references, kind))


def test_rouge_by_hand():
    """With "the cat on a mat" 4 of 6 and 5 words are shared, 1 of 5 and 4 pairs, and 4 words in order."""
    rows = run(ROUGE, given()).to_pylist()
    assert [rows[0][name] for name in ("rouge_1", "rouge_2", "rouge_l")] == [8 / 11, 2 / 9, 8 / 11]
    assert [rows[1][name] for name in ("rouge_1", "rouge_2", "rouge_l")] == [0, 0, 0]
    assert {row[name] for row in rows[2:] for name in ("rouge_1", "rouge_2", "rouge_l")} == {None}
    assert [row["error"] for row in rows] == WHY


def test_rouge_takes_the_best_reference_for_each_measure():
    (row,) = run(ROUGE, given(["a b c d"], [["d c b a", "a b x y z"]])).to_pylist()
    assert (row["rouge_1"], row["rouge_2"], row["rouge_l"]) == (1, 2 / 7, 4 / 9)


def test_bleu_by_hand():
    """Of 4 words 3 match, of 3 pairs 2, of 2 triples 1, of 1 run of four none, smoothed to 1/2; 4 words against 5."""
    (row,) = run(BLEU, given(["a b c x"], ["a b c y z"])).to_pylist()
    precision = (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** (1 / 4)
    assert row["bleu"] == pytest.approx(100 * math.exp(1 - 5 / 4) * precision)


def test_bleu_of_a_text_of_two_words_knows_no_longer_runs():
    assert run(BLEU, given(["a b"], ["a b"]))["bleu"].to_pylist() == [pytest.approx(100)]


def test_bleu_equals_the_package_with_several_references():
    from sacrebleu import sentence_bleu

    rows = run(BLEU, given()).to_pylist()
    expected = sentence_bleu(TEXTS[0], ["a dog", "The cat, on a mat."], use_effective_order=True).score
    assert [row["bleu"] for row in rows] == [expected, 0, None, None, None, None]
    assert [row["error"] for row in rows] == WHY


def test_bleu_options():
    texts, references = ["A B C D", "我爱你们"], ["a b c d", "我爱他们"]
    assert run(BLEU, given(texts, references))["bleu"].to_pylist() == [0, 0]
    assert run(BLEU, given(texts, references), lowercase=True)["bleu"].to_pylist()[0] == 100
    assert run(BLEU, given(texts, references), tokenize="zh")["bleu"].to_pylist()[1] > 20


@pytest.mark.parametrize("op", [ROUGE, BLEU], ids=lambda op: op.name)
def test_a_row_is_scored_by_itself(op):
    """Whatever the order and the cut, and in however many chunks the columns come."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcd"), rng.integers(0, 90))) or None for _ in range(60)]
    references = [[texts[i] for i in rng.integers(0, 60, rng.integers(0, 4))] for _ in range(60)]
    rows = given(texts, references)
    whole = run(op, rows).to_pylist()
    order = rng.permutation(60)
    assert run(op, rows.take(order)).to_pylist() == [whole[i] for i in order]
    parts = [rows.slice(start, 7) for start in range(0, 60, 7)]
    assert [row for part in parts for row in run(op, part).to_pylist()] == whole
    assert run(op, pa.concat_tables(parts)).to_pylist() == whole
    assert run(op, rows.slice(0, 0)).num_rows == 0


def test_one_string_a_row():
    texts, references = ["a b", "a b"], ["a b", None]
    assert run(ROUGE, given(texts, references))["rouge_l"].to_pylist() == [1, None]


def test_the_type_of_the_references_is_checked():
    accepts = ROUGE.reads_of(None)["reference"].type.accepts
    assert accepts(pa.string())
    assert accepts(pa.large_list(pa.large_string()))
    assert not accepts(pa.list_(pa.int64()))
