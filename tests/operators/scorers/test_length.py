import random

import polars as pl
import pyarrow as pa
import pytest
from operators.fakes import run, table

from engine.laws import check_score
from engine.registry import operator

LENGTH = operator("score", "length")


@pytest.mark.parametrize(
    ("text", "chars", "words"),
    [
        ("", 0, 0),
        ("   ", 3, 0),
        ("one", 3, 1),
        ("  two\twords\n", 12, 2),
        ("don't stop-me, now!", 19, 3),
        ("h\u00e9llo w\u00f6rld", 11, 2),
        ("\u4f60\u597d\u3000\u4e16\u754c", 5, 2),  # an ideographic space between
        ("a\u00a0b\u2003c\u2028d", 7, 4),  # no-break space, em space, line separator
        ("a\u200bb", 3, 1),  # a zero width space is no white space
        ("a\x1cb", 3, 1),  # nor is a file separator, although Python's split takes it for one
        ("\U0001f468\u200d\U0001f469", 3, 1),  # code points, not what is seen as one sign
    ],
)
def test_counts(text, chars, words):
    assert run(LENGTH, table(text=[text])).to_pylist() == [
        {"row_id": "r0", "n_chars": chars, "n_words": words, "error": None}
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_any_kind_of_string_in_any_cut(kind):
    chunks = pa.chunked_array([pa.array(["a b"], kind), pa.array([], kind), pa.array([None, "c"], kind)])
    batch = table(text=chunks)
    scored = run(LENGTH, batch)
    check_score(scored, batch["row_id"], "length")
    assert scored["n_words"].to_pylist() == [2, None, 1]
    assert scored["n_chars"].to_pylist() == [3, None, 1]
    assert scored["error"].to_pylist() == [None, "the text is null", None]
    assert {name: scored.schema.field(name).type for name in LENGTH.writes_of(None, None)} == LENGTH.writes_of(
        None, None
    )


def test_no_rows():
    assert run(LENGTH, table(text=pa.array([], pa.string()))).num_rows == 0


@pytest.mark.parametrize(
    "signs", ["ab \t\n\x0b\x0c\r\x1c\x7f", "ab \n\x85\xa0\u1680\u2003\u3000\u200b\u65e5\U0001f468"]
)
def test_words_as_a_regular_expression_counts_them(signs):
    rng = random.Random(1)
    texts = ["", *("".join(rng.choices(signs, k=rng.randint(0, 9))) for _ in range(3000)), ""]
    counted = run(LENGTH, table(text=[*texts, None]))["n_words"].to_pylist()
    assert counted == [*pl.Series(texts).str.count_matches(r"\S+").to_list(), None]
