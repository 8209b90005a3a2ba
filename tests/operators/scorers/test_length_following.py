"""S_l, the count of words and the reading of requests, beside those of the published scripts."""

# ruff: noqa: RUF001  (full-width signs are among what is tested)

import random

import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import run, table
from published_lengths import published_count, published_requests, published_score

from engine.laws import check_score
from engine.operators._length_score import length_score
from engine.registry import operator

SCORE = operator("score", "length_following")


def scored(instruction="Write 10 words.", response="a b c", *, compat=False, **columns):
    (row,) = run(SCORE, table(instruction=[instruction], response=[response], **columns), compat=compat).to_pylist()
    return row


@pytest.mark.parametrize(
    ("required", "produced", "score"),
    [
        (1000, 1000, 100), (1000, 1600, 80), (1400, 1000, 80), (2000, 1000, 50), (1000, 2000, 66.6667), (1000, 4000, 0),
        (3000, 1000, 0), (20_000, 7739, 20.7843), (1000, 0, 0), (1000, 9000, 0), (5000, 1000, 0),
    ],
)  # fmt: skip
def test_the_score(required, produced, score):
    assert length_score(np.array([required]), np.array([produced]))[0] == pytest.approx(score, abs=5e-5)
    row = scored(f"Write {required} words.", "word " * produced)
    assert (row["required_length"], row["length_requests"], row["response_length"]) == (required, 1, produced)
    assert row["score_length"] == pytest.approx(score, abs=5e-5)
    assert row["error"] is None


def test_the_published_formula_on_a_grid():
    x, y = (side.ravel() for side in np.meshgrid(np.arange(1, 401), np.arange(1, 901)))
    expected = [published_score(*pair) for pair in zip(x.tolist(), y.tolist(), strict=True)]
    np.testing.assert_allclose(length_score(x, y), expected, rtol=0, atol=1e-9)
    assert ((length_score(x, y) >= 80) == (np.array(expected) >= 80)).all()


def test_the_threshold_of_80_is_from_1_over_1_4_to_1_6():
    x, y = (side.ravel() for side in np.meshgrid(np.arange(7, 3000, 7), np.arange(5, 3000, 5)))
    kept = (14 * y >= 10 * x) & (10 * y <= 16 * x)
    assert ((length_score(x, y) >= 80) == kept).all()


def test_nothing_asked_for_is_no_score():
    assert np.isnan(length_score(np.array([0, 0, -1]), np.array([0, 5, 5]))).all()


MIXED = [
    "hello world", "你好，世界", "用Python写", "I have 3 cats and 21st-century dogs", "don't", "a_b c", "", "café ok",
    "一个word两个 words", "2024年 report第1章", "x" * 5 + " " + "字" * 4,
]  # fmt: skip


@pytest.mark.parametrize("text", MIXED)
def test_compat_counts_as_published(text):
    assert scored(response=text, compat=True)["response_length"] == published_count(text)


def test_compat_counts_as_published_whatever_the_text():
    texts = drawn("aZ é世界1_-' \n，\u0301Ω", most=40)
    rows = run(SCORE, table(instruction=texts, response=texts), compat=True).to_pylist()
    assert [row["response_length"] for row in rows] == [published_count(text) for text in texts]


def drawn(pieces, *, most):
    """Texts of random pieces."""
    rng = random.Random(3)
    return ["".join(rng.choices(pieces, k=rng.randint(0, most))) for _ in range(20_000)]


def test_the_plain_count_takes_every_run_of_latin_letters():
    counts = [scored(response=text)["response_length"] for text in MIXED]
    assert counts == [2, 4, 3, 7, 2, 3, 0, 2, 6, 4, 5]


@pytest.mark.parametrize(
    ("text", "plain", "published"),
    [
        ("Write 500 words on tea.", [500], [500]),
        ("Write 1,000 words.", [1000], [0]),
        ("A 1000-word essay.", [1000], []),
        ("A 400 word story, 400 words exactly", [400], [400]),
        ("写800字", [800], [800]),
        ("五百字左右", [500], [500]),
        ("两千字", [2000], [2000]),
        ("三万字的小说", [30_000], [30_000]),
        ("2万字", [20_000], []),
        ("1.5万字", [15_000], []),
        ("1万5千字", [15_000], []),
        ("十万字", [100_000], []),
        ("一千五百字", [1500], [500]),
        ("三万五千字", [35_000], [5000]),
        ("一千字(1000字)", [1000], [1000, 1000]),
        ("要求：1.800字以上", [800], [800]),
        ("１５００字", [1500], [1500]),
        ("300到400字", [400], [400]),
        ("每段300字，共1200字", [300, 1200], [300, 1200]),
        ("几百字的四字成语故事", [], []),
        ("In 2020, words failed; 3 key words", [], []),
        ("500 words以内", [500], [500]),
        ("0字", [0], [0]),
    ],
)  # fmt: skip
def test_what_a_request_names(text, plain, published):
    assert sorted(published_requests(text)) == sorted(published)
    for compat, lengths in ((False, plain), (True, published)):
        row = scored(text, compat=compat)
        assert row["length_requests"] == len(lengths)
        assert row["required_length"] == (lengths[0] if len(lengths) == 1 else None)


PIECES = (
    "500", "0500", "1,000", "１２", "一", "零", "两", "十", "百", "千", "万", "字", " words", "-word", " ", "\n", "写",
)  # fmt: skip


def test_compat_reads_requests_as_published_whatever_the_text():
    texts = drawn(PIECES, most=8)
    rows = run(SCORE, table(instruction=texts, response=[""] * len(texts)), compat=True).to_pylist()
    for text, row in zip(texts, rows, strict=True):
        lengths = published_requests(text)
        found = (row["length_requests"], row["required_length"])
        assert found == (len(lengths), min(lengths[0], 2**53) if len(lengths) == 1 else None), text


def test_why_there_is_no_score():
    batch = table(
        instruction=["Write.", "10 words or 20 words", "0字", "10 words", None, "10 words"],
        response=["a", "a", "a", None, "a", ""],
    )
    rows = run(SCORE, batch).to_pylist()
    assert [row["error"] for row in rows] == [
        "no length is asked for", "2 different lengths are asked for", "the length that is asked for is not above 0",
        "the response is null", "the instruction is null", None,
    ]  # fmt: skip
    assert [row["score_length"] for row in rows] == [None] * 5 + [0.0]
    assert [row["response_length"] for row in rows] == [1, 1, 1, None, 1, 0]


def test_a_length_that_the_table_names_goes_before_the_instruction():
    batch = table(instruction=["Write 10 words.", None, "x"], response=["a b"] * 3, required=pa.array([4, 2, None]))
    rows = run(SCORE, batch).to_pylist()
    assert [row["required_length"] for row in rows] == [4, 2, None]
    assert [row["score_length"] for row in rows] == [50.0, 100.0, None]
    assert [row["error"] for row in rows] == [None, None, "no length is asked for"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
@pytest.mark.parametrize("compat", [False, True])
def test_its_columns_in_any_cut(kind, compat):
    chunks = pa.chunked_array([pa.array(["1 words"], kind), pa.array([], kind), pa.array([None, "2 words"], kind)])
    for batch in (table(instruction=chunks, response=chunks), table(instruction=chunks, response=chunks).slice(0, 0)):
        found = run(SCORE, batch, compat=compat)
        check_score(found, batch["row_id"], "length_following")
        declared = SCORE.writes_of(None, None)
        assert {name: found.schema.field(name).type for name in declared} == declared
