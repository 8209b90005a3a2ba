import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operators.fakes import run, table
from pydantic import ValidationError

from engine.registry import operator

STATISTICS = operator("score", "text_statistics")
STOPWORDS = frozenset(STATISTICS.params().stopwords)


def reference(text):
    """The definitions, character by character and word by word in plain Python."""
    n = len(text)
    alnum = sum(c.isalnum() for c in text)
    space = sum(c.isspace() for c in text)
    words = text.split()
    return {
        "alnum_ratio": alnum / n if n else None,
        "special_ratio": (n - alnum - space) / n if n else None,
        "avg_line_length": n / (text.count("\n") + 1),
        "avg_word_length": sum(map(len, words)) / len(words) if words else None,
        "stopword_ratio": sum(word.lower() in STOPWORDS for word in words) / len(words) if words else None,
    }


def statistics(texts, **params):
    scored = run(STATISTICS, table(text=pa.array(texts, pa.string())), **params)
    return [{name: row[name] for name in STATISTICS.writes_of(None, None)} for row in scored.to_pylist()]


def test_by_hand():
    # 19 characters: 12 letters, 1 digit, 4 of white space, 2 special; 2 lines; 5 words, 2 of them stop words.
    assert statistics(["The cat, 7\nthe dog."]) == [
        {
            "alnum_ratio": 13 / 19,
            "special_ratio": 2 / 19,
            "avg_line_length": 19 / 2,
            "avg_word_length": 15 / 5,
            "stopword_ratio": 2 / 5,
        }
    ]


@pytest.mark.parametrize(
    "text",
    [
        "The the, THE the. 'the' the-the",  # only whole words count
        "it's its it",
        "to  the\tof\n\nand",  # stop words next to each other
        "\u00bd \u2163 \u0967 \u4e09 x\u00b2",  # a fraction, a Roman numeral, a Hindi digit, a Chinese three, a power
        "e\u0301 \u00e9",  # a combining accent is neither letter nor digit
        "a\u00a0the\u2003b\u3000of",
        "\u0130s \u01c5 \u00df",
        "\U0001f600\U0001f468\u200d\U0001f469",
        "\r\nthe\r\n",
        "\n\n",
    ],
)
def test_equals_plain_python(text):
    assert statistics([text]) == [reference(text)]


def assigned(c):
    """Characters of Python's own tables; newer ones are letters to others only. Surrogates are no text."""
    return unicodedata.category(c) not in ("Cn", "Cs")


def test_equals_plain_python_on_every_character():
    characters = list(filter(assigned, map(chr, range(0x110000))))
    different = {c for c, got in zip(characters, statistics(characters), strict=True) if got != reference(c)}
    assert different == set("\x1c\x1d\x1e\x1f")  # white space to Python alone; here special characters


characters = st.characters(codec="utf-8", exclude_categories=["Cn"], exclude_characters="\x1c\x1d\x1e\x1f")
sentences = st.lists(st.sampled_from(["the", "a", "The", "dog", "\n", ".", "of,"])).map(" ".join)


@given(st.lists(st.text(characters) | sentences))
def test_equals_plain_python_on_any_text(texts):
    assert statistics(texts) == [reference(text) for text in texts]


def test_what_has_no_value_is_null_with_a_reason():
    scored = run(STATISTICS, table(text=["", None, " \n", "one two"]))
    assert scored["error"].to_pylist() == ["the text is empty", "the text is null", "the text has no words", None]
    assert scored["alnum_ratio"].to_pylist() == [None, None, 0.0, 6 / 7]
    assert scored["avg_line_length"].to_pylist() == [0.0, None, 1.0, 7.0]
    assert scored["stopword_ratio"].to_pylist() == [None, None, None, 0.0]


def test_other_stopwords():
    assert statistics(["Der die c++ the"], stopwords=["der", "c++"])[0]["stopword_ratio"] == 2 / 4


@pytest.mark.parametrize("stopwords", [[], ["The"], ["of course"], [""], [3]])
def test_stopwords_that_can_not_match_are_refused(stopwords):
    with pytest.raises(ValidationError):
        STATISTICS.params(stopwords=stopwords)
