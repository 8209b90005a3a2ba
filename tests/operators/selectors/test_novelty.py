"""ROUGE-L against a plain table of subsequences, and the filter against one row after the other."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operators.fakes import FakeContext, table

from engine.needs import SideTable
from engine.operators.selectors import novelty as rooms
from engine.registry import operator
from engine.texts import rouge

NOVELTY = operator("select", "novelty")
WORDS = [f"w{i}" for i in range(12)]


def f1(one, other):
    """As google-research's rouge_score has it, without stemming."""
    a, b = (re.findall("[a-z0-9]+", text.lower()) for text in (one, other))
    row = [0] * (len(b) + 1)
    for x in a:
        above = row[:]
        for j, y in enumerate(b):
            row[j + 1] = above[j] + 1 if x == y else max(above[j + 1], row[j])
    return 2 * row[-1] / (len(a) + len(b)) if a or b else 0.0


def one_by_one(seeds, texts, limit):
    """The sequential filter: for each text whether it is kept, the number of its nearest and how near that is."""
    kept, verdicts = list(enumerate(seeds)), []
    for number, text in enumerate(texts, len(seeds)):
        similarity, nearest = max(((f1(text, other), -i) for i, other in kept), default=(0.0, 1))
        stays = similarity <= limit
        verdicts.append((stays, -nearest if similarity else None, similarity or None))
        if stays:
            kept.append((number, text))
    return verdicts


def select(texts, seeds=None, limit=0.7, ids=None):
    ctx = FakeContext()
    if seeds is not None:
        side = pa.table({"row_id": [f"s{i}" for i in range(len(seeds))], "text": pa.array(seeds, pa.string())})
        ctx.sides["seeds"] = SideTable(side)
    batch = table(text=pa.array(texts, pa.string()))
    if ids is not None:
        batch = batch.set_column(0, "row_id", pa.array(ids))
    return NOVELTY.fn(batch, NOVELTY.params(max_similarity=limit), ctx)


def drawn_texts(n, lengths, seed=3):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.choice(lengths))) for _ in range(n)]


def test_lengths_around_the_words_of_the_machine():
    texts = drawn_texts(60, [0, 1, 2, 7, 63, 64, 65, 127, 128, 129, 200])
    everyone = np.arange(len(texts))
    found = rouge.rouge_l(rouge.tokens(pa.array(texts)), everyone, everyone)
    assert found.tolist() == [[f1(a, b) for b in texts] for a in texts]


@given(st.lists(st.text(alphabet="abAB 1.é-中", max_size=30), min_size=1, max_size=6))
def test_tokens_are_latin_letters_and_digits(texts):
    everyone = np.arange(len(texts))
    found = rouge.rouge_l(rouge.tokens(pa.chunked_array([texts[:2], texts[2:]], pa.string())), everyone, everyone)
    assert found.tolist() == [[f1(a, b) for b in texts] for a in texts]


@pytest.mark.parametrize("block", [1, 7, 256])
@pytest.mark.parametrize("limit", [0.0, 0.5, 0.7, 1.0])
def test_equals_the_sequential_filter_whatever_the_block(monkeypatch, block, limit):
    monkeypatch.setattr(rooms, "BLOCK", block)
    seeds, texts = drawn_texts(9, [3, 5], seed=1), drawn_texts(200, [2, 3, 4, 5, 6], seed=2)
    ids = [f"r{i:03}" for i in range(len(texts))]
    names = [f"s{i}" for i in range(len(seeds))] + ids
    found = select(texts, seeds, limit, ids).to_pylist()
    for row, (stays, nearest, similarity) in zip(found, one_by_one(seeds, texts, limit), strict=True):
        assert row["selected"] == stays
        assert row["nn_id"] == (None if nearest is None else names[nearest])
        assert row["nn_sim"] == (None if nearest is None else pytest.approx(similarity, abs=1e-7))
        if not stays:
            assert row["drop_reason"] == ("like_a_seed" if nearest < len(seeds) else "like_a_kept_row")


def text_of(n, common, other):
    """`n` words, of which the first `common` are those of all such texts."""
    return " ".join([*(f"same{i}" for i in range(common)), *(f"{other}{i}" for i in range(n - common))])


@pytest.mark.parametrize(("n", "common", "stays"), [(10, 7, True), (100, 70, True), (100, 71, False)])
@pytest.mark.parametrize("against", ["seed", "row"])
def test_seventy_hundredths_stay_and_seventy_one_fall(n, common, stays, against):
    first, second = text_of(n, common, "a"), text_of(n, common, "b")
    assert f1(first, second) == common / n
    found = (select([second], [first]) if against == "seed" else select([first, second])).to_pylist()[-1]
    assert found["selected"] is stays
    assert found["nn_id"] == ("s0" if against == "seed" else "r0")
    assert found["nn_sim"] == pytest.approx(common / n)
    assert found["drop_reason"] == (None if stays else "like_a_seed" if against == "seed" else "like_a_kept_row")


def test_the_order_is_that_of_the_ids_and_who_falls_displaces_nobody():
    a, b, c = "one two three four", "one two three four five six", "three four five six"
    assert f1(a, b) == f1(b, c) == 0.8
    assert f1(a, c) == 0.5
    for texts, ids, kept in [
        ([a, b, c], ["1", "2", "3"], [True, False, True]),
        ([a, b, c], ["2", "1", "3"], [False, True, False]),
        ([c, b, a], ["3", "2", "1"], [True, False, True]),
    ]:
        assert select(texts, ids=ids)["selected"].to_pylist() == kept


def test_a_null_a_repeated_seed_and_no_table_at_all():
    found = select(["x y z", None, "x y z"], ["q", None, "q"]).to_pylist()
    assert [row["drop_reason"] for row in found] == [None, "no_text", "like_a_kept_row"]
    assert found[1]["nn_id"] is None
    assert select([], ["q"]).num_rows == 0
    assert [row["selected"] for row in select(["中文", "中文"]).to_pylist()] == [True, True]
