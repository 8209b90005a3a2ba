import random

import numpy as np
import pyarrow as pa
import pytest

from engine.texts import containment
from engine.texts.containment import NOBODY, Known
from engine.texts.shingles import words


def best(known, texts, n=3, least=2):
    found, share = Known(words(pa.array(known)), n, least).best(words(pa.array(texts)))
    return list(zip(found.tolist(), share.tolist(), strict=True))


def test_by_hand():
    """Of the runs a b c, b c d, c d e two are there; x y is shorter than a run and must stand as a whole."""
    known = ["a b c d e", "x y", "z"]
    texts = ["0 A, b c d!", "q x y q", "x q y", "z", "", "a b c d e x y"]
    assert best(known, texts) == [(0, 2 / 3), (1, 1.0), (NOBODY, 0), (NOBODY, 0), (NOBODY, 0), (0, 1.0)]


def test_a_run_may_not_reach_into_the_next_text():
    assert best(["a b c"], ["a b", "c a b", "c"]) == [(NOBODY, 0)] * 3


def test_of_equals_the_first():
    assert best(["p q r", "a b c", "a b c d"], ["a b c d", "a b c"]) == [(1, 1.0), (1, 1.0)]


def loop(known, text, n, least):
    """The same text by text."""
    mine, top = text.split(), (NOBODY, 0.0)
    for at, other in enumerate(known):
        own = other.split()
        if len(own) < max(least, 1):
            continue
        size = min(n, len(own))
        runs = {tuple(own[i : i + size]) for i in range(len(own) - size + 1)}
        here = {tuple(mine[i : i + size]) for i in range(len(mine) - size + 1)}
        share = len(runs & here) / len(runs)
        if share > top[1]:
            top = (at, share)
    return top


@pytest.mark.parametrize("together", [1, 50, 2**22])
def test_equals_a_loop(monkeypatch, together):
    monkeypatch.setattr(containment, "TOGETHER", together)
    rng = random.Random(together)
    known, texts = (
        [" ".join(rng.choice("abcd") for _ in range(rng.randrange(12))) for _ in range(n)] for n in (60, 300)
    )
    assert best(known, texts, 5, 3) == [loop(known, text, 5, 3) for text in texts]


def test_nothing_known_and_nothing_given():
    assert best(pa.array([], pa.string()), ["a b c"]) == [(NOBODY, 0)]
    assert best(["a b c"], pa.array([], pa.string())) == []
    assert best([None, ""], [None, ""]) == [(NOBODY, 0)] * 2


def test_a_run_that_many_known_texts_share():
    known = [f"this question refers to the following {np.base_repr(i, 36)} text" for i in range(500)]
    assert best(known, [known[77], "this question refers to the"], n=4)[0] == (77, 1.0)
    assert best(known, [known[77], "this question refers to the"], n=4)[1] == (0, 2 / 5)
