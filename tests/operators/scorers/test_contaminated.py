import random
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from operators.fakes import run, table

from engine.errors import SetwrightError
from engine.registry import operator

CONTAMINATED = operator("score", "contaminated")
DATA = Path(__file__).parents[3] / "../shared/data"
ASKED = "Janet has three ducks that lay sixteen eggs each day and she eats three of them for breakfast"  # 18 words
FIELDS = ("contaminated", "contaminated_by", "contaminated_benchmark", "contaminated_kind")


def benchmarks(texts, **columns):
    ids = [f"b{i}" for i in range(len(texts))]
    return pa.table({"row_id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string()), **columns})


def scored(rows, side, **params):
    return run(CONTAMINATED, rows, sides={"benchmarks": side}, **params).to_pylist()


def vectors(rows):
    flat = pa.array(np.array([row or [0] * len(rows[0]) for row in rows], np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, len(rows[0]), mask=pa.array([row is None for row in rows]))


def test_by_hand():
    """18 words have 6 runs of 13; the first 14 words hold 2 of them, the first 12 none."""
    names = pa.array(["gsm8k", "other", "other", "other"])
    side = benchmarks([ASKED, "Why is Mars red at all?", "Mars is red", None], benchmark=names)
    cut = ASKED.split()
    texts = [
        f"Solve this. {ASKED.upper()}!! Thanks",
        " ".join(cut[:14]),
        " ".join(cut[:12]),
        "tell me: why is mars red, at all",
        "They say that Mars is red.",
        None,
    ]
    rows = scored(table(text=pa.array(texts)), side)
    found = [(*(row[field] for field in FIELDS), row["contaminated_overlap"]) for row in rows]
    gsm = (True, "b0", "gsm8k", "ngram")
    clean = (False, None, None, None, 0)
    mars = (True, "b1", "other", "ngram", 1)
    assert found == [(*gsm, 1), (*gsm, 2 / 6), clean, mars, clean, (None, None, None, None, None)]
    assert [row["error"] for row in rows] == [None] * 5 + ["the text is null"]
    assert {row["contaminated_similarity"] for row in rows} == {None}


def test_a_share_is_asked_for():
    half = " ".join(ASKED.split()[:14])
    for limit, expected in ((0.3, True), (1 / 3, False), (0.5, False)):
        (row,) = scored(table(text=[half]), benchmarks([ASKED]), min_overlap=limit)
        assert (row["contaminated"], row["contaminated_overlap"]) == (expected, 2 / 6)


def test_conversations():
    talk = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "9"}]
    (row,) = scored(table(text=pa.array([talk])), benchmarks([ASKED]))
    assert row["contaminated_by"] == "b0"


def test_by_meaning():
    """Cosines by hand: 0.6 and 0.8, 1, 0.8; a null vector on either side says nothing."""
    side = benchmarks(["x", "y", "z"], embedding=vectors([[1, 0], [0, 1], None]))
    rows = table(text=["p", "q", ASKED, None, None], embedding=vectors([[0.6, 0.8], [2, 0], None, [0, 1], [1, 1]]))
    found = scored(rows, side, min_similarity=0.9)
    assert [row["contaminated"] for row in found] == [False, True, False, True, None]
    assert [row["contaminated_by"] for row in found] == [None, "b0", None, "b1", None]
    assert [row["contaminated_kind"] for row in found] == [None, "embedding", None, "embedding", None]
    similarity = [row["contaminated_similarity"] for row in found]
    assert similarity == [pytest.approx(0.8), 1, None, 1, pytest.approx(0.5**0.5)]
    assert [row["error"] for row in found] == [None, None, None, None, "the text is null"]


def test_words_go_before_meaning():
    side = benchmarks([ASKED, "y"], embedding=vectors([[1, 0], [0, 1]]))
    (row,) = scored(table(text=[ASKED], embedding=vectors([[0, 1]])), side)
    assert (row["contaminated_by"], row["contaminated_kind"], row["contaminated_similarity"]) == ("b0", "ngram", 1)


def test_vectors_on_one_side_only_are_not_read():
    side = benchmarks([ASKED], embedding=vectors([[1, 0]]))
    assert scored(table(text=[ASKED]), side)[0]["contaminated_similarity"] is None
    rows = table(text=[ASKED], embedding=vectors([[1, 0]]))
    assert scored(rows, benchmarks([ASKED]))[0]["contaminated_similarity"] is None


def test_vectors_of_two_models():
    rows, side = (
        table(text=["x"], embedding=vectors([[1, 0]])),
        benchmarks(["x"], embedding=vectors([[1, 0, 0]])),
    )
    with pytest.raises(SetwrightError, match=r"2 numbers can't be compared with the benchmarks' of 3.*\n.*same model"):
        scored(rows, side)


def test_no_benchmarks():
    (row,) = scored(table(text=["x"]), benchmarks([]))
    assert row["error"] == "there are no benchmarks"
    assert {value for name, value in row.items() if name not in ("row_id", "error")} == {None}


def test_no_rows():
    assert scored(table(text=pa.array([], pa.string())), benchmarks([ASKED])) == []


def test_neither_order_nor_cut_matters():
    rng = np.random.default_rng(0)
    pool = [" ".join(rng.choice(list("abc"), 6)) for _ in range(80)]
    side = benchmarks(pool[:20] * 2, embedding=vectors(rng.normal(size=(40, 4)).tolist()))
    rows = table(text=pool[20:], embedding=vectors(rng.normal(size=(60, 4)).tolist()))
    options = {"n": 4, "min_words": 1, "min_overlap": 0.5, "min_similarity": 0.95}
    whole = scored(rows, side, **options)
    assert {row["contaminated_kind"] for row in whole} == {"ngram", "embedding", None}
    for part_rows in (1, 7):
        mixed, other = (given.take(rng.permutation(given.num_rows)) for given in (rows, side))
        found = scored(mixed, other, part_rows=part_rows, **options)
        assert sorted(found, key=lambda row: int(row["row_id"][1:])) == whole


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data isn't here")
def test_real_benchmarks_planted_into_real_texts():
    """All that is planted as it is, in other case and punctuation, or inside a text is found; hardly any other row."""
    questions = pq.read_table(DATA / "benchmarks/gsm8k.parquet")["question"].to_pylist()[::20]
    alpaca = pq.read_table(DATA / "instructions/alpaca_52k.parquet")["output"].to_pylist()[:3000]
    rng = random.Random(0)
    whole = [text for text in questions if len(text.split()) >= 13][:100]
    changed = [re.sub(r"\s+", lambda _: rng.choice([" ", ", ", "\n"]), text).swapcase() for text in whole]
    within = [f"{rng.choice(alpaca)}\n{text} {rng.choice(alpaca)}" for text in whole]
    rows = scored(table(text=whole + changed + within + alpaca), benchmarks(questions))
    named = [questions[int(row["contaminated_by"][1:])] for row in rows[:300]]
    assert named == whole * 3
    assert sum(row["contaminated"] for row in rows[300:]) <= 3
