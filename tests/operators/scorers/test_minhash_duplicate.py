import random
import re

import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run, table
from pydantic import ValidationError

from engine.operators.scorers.minhash_duplicate import NOBODY, greedy
from engine.registry import operator
from engine.texts.shingles import distinct, ngrams, words

MINHASH = operator("score", "minhash_duplicate")
COLUMNS = ("minhash_duplicate_of", "minhash_similarity", "error")


def scored(given, **options):
    rows = run(MINHASH, given, **options).to_pylist()
    return {row["row_id"]: tuple(row[column] for column in COLUMNS) for row in rows}


def family(n, seed):
    """Texts of 3 to 40 words with edited copies, in random order, under ids that say nothing."""
    rng = random.Random(seed)
    texts = []
    for _ in range(n):
        own = [rng.choice("abcdefghijklmnop") for _ in range(rng.randrange(3, 40))]
        texts.append(own)
        for _ in range(rng.randrange(5)):
            copy = list(own)
            copy[rng.randrange(len(copy))] = rng.choice(["new", "a"])
            texts.append(copy)
            own = copy if rng.random() < 0.5 else own  # chains: like the last copy, unlike the first text
    rng.shuffle(texts)
    return pa.table({"row_id": [f"i{rng.random():.12f}" for _ in texts], "text": [" ".join(text) for text in texts]})


def loop(given, n, threshold):
    """The rule itself, row by row, without MinHash."""
    split = {row["row_id"]: re.findall(r"\w+", row["text"].lower()) for row in given.to_pylist()}
    sets = {i: {tuple(own[k : k + n]) for k in range(max(1, len(own) - n + 1))} for i, own in split.items()}
    kept, answer = [], {}
    for row in sorted(sets):
        near = [(len(sets[row] & sets[k]) / len(sets[row] | sets[k]), k) for k in kept]
        near = sorted((pair for pair in near if pair[0] >= threshold), key=lambda pair: (-pair[0], pair[1]))
        answer[row] = (near[0][1], near[0][0], None) if near else (None, None, None)
        if not near:
            kept.append(row)
    return answer


def test_by_hand():
    """Of 6 and 7 runs of 5 words 5 are the same: 5 of 8. Of 6 and 6 the same 6 but for case: all."""
    ten = "one two three four five six seven eight nine ten"
    given = table(text=[ten, ten.upper() + "!", ten.replace("ten", "eleven twelve"), "short text", "Short, text"])
    found = scored(given, threshold=0.6)
    assert found["r0"] == found["r3"] == (None, None, None)
    assert found["r1"] == ("r0", 1.0, None)
    assert found["r2"] == ("r0", 5 / 8, None)
    assert found["r4"] == ("r3", 1.0, None)
    assert scored(given)["r2"] == (None, None, None)


def test_a_duplicate_of_a_duplicate_is_none():
    """b resembles a, and c only b: b falls to a, so c stays."""
    given = table(text=["1 2 3 4 5 6 7 8", "2 3 4 5 6 7 8 9", "3 4 5 6 7 8 9 10"])
    found = scored(given, n=1, threshold=0.75)
    assert [found[row][0] for row in ("r0", "r1", "r2")] == [None, "r0", None]


@pytest.mark.parametrize(("n", "threshold"), [(5, 0.7), (2, 0.5), (3, 0.85)])
def test_equals_brute_force_whatever_the_order_and_cut(n, threshold):
    """With so high a recall every pair is compared, so that the whole answer must be that of the loop."""
    given = family(60, seed=n)
    expected = loop(given, n, threshold)
    assert len({answer[0] for answer in expected.values()}) > 10
    for seed, part_rows in ((0, 1000), (1, 7), (2, 1)):
        mixed = given.take(np.random.default_rng(seed).permutation(given.num_rows))
        assert scored(mixed, n=n, threshold=threshold, recall=1 - 1e-9, part_rows=part_rows) == expected


def test_no_pair_is_compared_twice_and_rounds_end_on_a_crowd(monkeypatch):
    """300 texts in one band, a few of which repeat others: only pairs with a kept text are compared."""
    from engine.operators.scorers import minhash_duplicate as room

    seen = []
    compare = room.jaccard
    monkeypatch.setattr(room, "jaccard", lambda s, a, b: seen.extend(zip(a, b, strict=True)) or compare(s, a, b))
    texts = [f"word{i % 40}" for i in range(300)]
    sets = distinct(ngrams(words(pa.array(texts)), 1))
    found, similarity = greedy(sets, np.zeros((300, 1), np.uint64), np.arange(300), 0.7)
    assert (found == NOBODY).sum() == 40
    assert found[40:].tolist() == [i % 40 for i in range(40, 300)]
    assert np.nanmin(similarity) == 1.0
    assert len(seen) == len(set(seen)) <= 300 * 40


def test_texts_that_cannot_be_compared():
    found = scored(table(text=pa.array([None, "", "?!", "a", "..."], pa.string())))
    assert found["r0"] == (None, None, "the text is null")
    assert found["r1"] == found["r2"] == found["r4"] == (None, None, "the text has no words")
    assert found["r3"] == (None, None, None)


@pytest.mark.parametrize("texts", [[], [None], [""]])
def test_nothing_to_compare(texts):
    assert run(MINHASH, table(text=pa.array(texts, pa.string()))).num_rows == len(texts)


@pytest.mark.parametrize("params", [{"threshold": 0.0}, {"threshold": 1.1}, {"n": 0}, {"recall": 1.0}])
def test_bad_params(params):
    with pytest.raises(ValidationError):
        MINHASH.params(**params)
