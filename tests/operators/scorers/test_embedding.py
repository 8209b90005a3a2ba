import asyncio

import numpy as np
import pyarrow as pa
import pytest
from operators.fakes import FakeModel, run, table

from engine.laws import check_score
from engine.model import ModelConfig
from engine.models.hashing import Hashing
from engine.registry import operator
from engine.schema import MESSAGE, MESSAGES

EMBEDDING = operator("score", "embedding")


def test_unit_vectors_in_the_order_of_the_rows():
    model = FakeModel(vector={"a": [3, 4], "b": [0, -2]}.__getitem__)
    batch = table(text=pa.chunked_array([["a"], ["b", "a"]]))
    scored = run(EMBEDDING, batch, model=model)
    check_score(scored, batch["row_id"], "embedding")
    assert scored["embedding"].type == pa.list_(pa.float32(), 2)
    assert scored["embedding"].to_pylist() == [pytest.approx([0.6, 0.8]), [0, -1], pytest.approx([0.6, 0.8])]
    assert scored["error"].null_count == 3


def test_as_they_come_without_normalize():
    scored = run(EMBEDDING, table(text=["a"]), model=FakeModel(vector=lambda _: [3, 4]), normalize=False)
    assert scored["embedding"].to_pylist() == [[3, 4]]


def test_rows_without_a_vector_say_why_and_are_not_asked_for():
    vectors = {"good": [1, 0], "zero": [0, 0], "broken": [float("nan"), 1], "endless": [float("inf"), 1]}
    model = FakeModel(vector=vectors.__getitem__)
    scored = run(EMBEDDING, table(text=["zero", None, "good", "broken", "endless"]), model=model)
    assert scored["embedding"].to_pylist() == [None, None, [1, 0], None, None]
    assert [bool(reason) for reason in scored["error"].to_pylist()] == [True, True, False, True, True]
    assert scored["error"][1].as_py() == "the text is null"
    assert "zero or non-finite" in scored["error"][0].as_py()
    assert model.embedded == [["zero", "good", "broken", "endless"]]


@pytest.mark.parametrize("texts", [[], [None, None]])
def test_a_batch_without_texts_has_vectors_of_the_right_length(texts):
    scored = run(EMBEDDING, table(text=pa.array(texts, pa.string())), model=FakeModel())
    assert scored["embedding"].type == pa.list_(pa.float32(), 2)
    assert scored["embedding"].to_pylist() == texts


def test_conversations_are_rendered_turn_by_turn():
    more = pa.list_(pa.struct([*MESSAGE, ("name", pa.string())]))  # further fields are none of its business
    talks = [
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello\nyou"}],
        None,
        [{"role": "user", "content": None}],
        [{"role": "system", "content": "Short."}, {"role": "user", "content": "Hi"}],
    ]
    expected = ["user: Hi\nassistant: Hello\nyou", "user: ", "system: Short.\nuser: Hi"]
    for kind in (MESSAGES, more, pa.large_list(MESSAGE)):
        model = FakeModel()
        whole = pa.chunked_array([pa.array(talks, kind)])
        run(EMBEDDING, table(text=whole), model=model)
        run(EMBEDDING, table(text=whole.slice(1)), model=model)
        assert model.embedded == [expected, expected[1:]]


def test_with_the_hashing_model():
    model = Hashing(ModelConfig("m"))
    scored = run(EMBEDDING, table(text=["one two three", "", "ONE TWO THREE"]), model=model)
    assert EMBEDDING.writes_of(EMBEDDING.params(), model.embedding_dim()) == {"embedding": scored["embedding"].type}
    first, empty, third = scored["embedding"].to_pylist()
    assert empty is None
    assert first == third
    direct = asyncio.run(model.embed(["one two three"]))[0]
    assert first == pytest.approx(direct / np.linalg.norm(direct))


def test_half_precision_stores_the_rounded_vectors():
    rng = np.random.default_rng(0)
    given = {f"t{i}": rng.standard_normal(384).tolist() for i in range(20)}
    batch = table(text=list(given))
    full, half = (
        run(EMBEDDING, batch, model=FakeModel(vector=given.__getitem__), precision=precision)["embedding"]
        for precision in ("float32", "float16")
    )
    assert half.type == pa.list_(pa.float16(), 384)
    wide, narrow = (np.array(vectors.to_pylist()) for vectors in (full, half))
    assert np.array_equal(wide.astype(np.float16), narrow)
    narrow /= np.linalg.norm(narrow, axis=1, keepdims=True)
    assert np.abs(wide @ wide.T - narrow @ narrow.T).max() < 1e-3


def test_vectors_beyond_half_precision_are_null_with_a_reason():
    model = FakeModel(vector={"huge": [1e6, 1], "tiny": [1e-9, 0], "good": [2, 1]}.__getitem__)
    scored = run(EMBEDDING, table(text=["huge", "tiny", "good"]), model=model, normalize=False, precision="float16")
    assert scored["embedding"].to_pylist() == [None, None, [2, 1]]
    assert ["non-finite" in (reason or "") for reason in scored["error"].to_pylist()] == [True, True, False]
    unit = run(EMBEDDING, table(text=["huge", "tiny"]), model=model, precision="float16")
    assert unit["embedding"].to_pylist() == [[1, pytest.approx(1e-6, rel=0.1)], [1, 0]]
