"""The laws refuse what an operator must never return."""

import pyarrow as pa
import pytest

from engine import laws
from engine.schema import VERDICT

GIVEN = pa.chunked_array([["a", "b", "c"]])


def verdict(**changes):
    columns = {
        "row_id": ["a", "b", "c"], "selected": [True, False, True], "select_rank": [1, None, 0],
        "drop_reason": [None, "budget", None], "nn_id": [None, "a", None], "nn_sim": [None, 0.5, None],
    }  # fmt: skip
    return pa.table(columns | changes, schema=VERDICT)


def test_a_verdict_is_put_in_the_order_of_the_rows():
    turned = verdict().take([2, 0, 1])
    assert laws.check_select(turned, GIVEN, "x").equals(verdict())


@pytest.mark.parametrize(
    "changes",
    [
        {"row_id": ["a", "b", "b"]},
        {"row_id": ["a", "b", "d"]},
        {"select_rank": [0, None, 0]},
        {"select_rank": [0, None, None]},
        {"drop_reason": [None, None, None]},
        {"drop_reason": ["why", "budget", None]},
    ],
)
def test_broken_verdicts(changes):
    with pytest.raises(laws.LawError):
        laws.check_select(verdict(**changes), GIVEN, "x")


def test_a_verdict_for_each_row():
    with pytest.raises(laws.LawError, match="one verdict for each row"):
        laws.check_select(verdict().slice(0, 2), GIVEN, "x")


def test_a_scorer_keeps_rows_and_order():
    laws.check_score(pa.table({"row_id": ["a", "b", "c"], "n": [1, 2, 3]}), GIVEN, "x")
    for ids in (["a", "c", "b"], ["a", "b"], ["a", "b", "b"]):
        with pytest.raises(laws.LawError):
            laws.check_score(pa.table({"row_id": ids}), GIVEN, "x")


def test_children_have_known_parents_and_ids_of_their_own():
    good = pa.table({"row_id": ["x", "y"], "parent_id": ["a", "a"]})
    laws.check_generate(good, GIVEN, "x")
    with pytest.raises(laws.LawError, match="parent"):
        laws.check_generate(pa.table({"row_id": ["x"], "parent_id": ["z"]}), GIVEN, "x")
    with pytest.raises(laws.LawError, match="id of its own"):
        laws.check_generate(pa.table({"row_id": ["x", "x"], "parent_id": ["a", "a"]}), GIVEN, "x")


def test_conform_casts_safely_and_orders_columns():
    table = pa.table({"row_id": ["a"], "b": pa.array([1], pa.int32()), "a": ["t"]})
    out = laws.conform(table, {"a": pa.string(), "b": pa.int64()}, "x")
    assert out.schema == pa.schema([("row_id", pa.string()), ("a", pa.string()), ("b", pa.int64())])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"extra": [1], "n": [1]}, "undeclared extra"),
        ({}, "missing n"),
        ({"n": ["text"]}, "column n has the type string"),
    ],
)
def test_conform_refuses_what_is_not_declared(columns, message):
    with pytest.raises(laws.LawError, match=message):
        laws.conform(pa.table({"row_id": ["a"], **columns}), {"n": pa.int64()}, "x")


def test_an_embeddings_length_may_come_from_the_model():
    table = pa.table({"row_id": ["a"], "embedding": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))})
    assert laws.conform(table, {"embedding": pa.list_(pa.float32(), 1)}, "x")["embedding"].type.list_size == 2
