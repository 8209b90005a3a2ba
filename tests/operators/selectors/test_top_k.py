from decimal import Decimal

import pyarrow as pa
import pytest
from operators.fakes import run, table
from pydantic import ValidationError

from engine.errors import SetwrightError
from engine.registry import operator

TOP_K = operator("select", "top_k")


def top_k(values, **params):
    verdict = run(TOP_K, table(by=values), by="x", **params)
    ranks = zip(verdict["row_id"].to_pylist(), verdict["select_rank"].to_pylist(), strict=True)
    picked = sorted((rank, row_id) for row_id, rank in ranks if rank is not None)
    return [row_id for _, row_id in picked], verdict["drop_reason"].to_pylist()


def test_highest_first():
    assert top_k([1.0, 3.0, 2.0], k=2) == (["r1", "r2"], ["below_cut", None, None])


def test_lowest_first():
    assert top_k([1.0, 3.0, 2.0], k=2, order="asc") == (["r0", "r2"], [None, "below_cut", None])


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_equal_values_go_by_row_id(order):
    assert top_k([1, 1, 1], k=2, order=order)[0] == ["r0", "r1"]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_rows_without_a_value_are_never_kept(order):
    kept, reasons = top_k([None, 2.0, float("nan")], k=3, order=order)
    assert kept == ["r1"]
    assert reasons == ["no_score", None, "no_score"]


def test_infinities_are_values():
    assert top_k([0.0, float("-inf"), float("inf")], k=3)[0] == ["r2", "r0", "r1"]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**53 + 1, 2**53, None], pa.int64()),  # equal as floats
        pa.array([Decimal("0.2"), Decimal("0.1"), None], pa.decimal128(38, 1)),
        pa.array([True, False, None]),
        pa.array([1, 0, None], pa.timestamp("us")),
    ],
)
def test_any_type_with_an_order(values):
    assert top_k(values, k=1) == (["r0"], [None, "below_cut", "no_score"])


@pytest.mark.parametrize("values", [["10", "9"], [[1], [2]], pa.nulls(2)])
def test_a_type_that_does_not_rank_is_an_error_with_a_cure(values):
    with pytest.raises(SetwrightError, match=r"by is of type [^\n]*\n  cure: .*CAST"):
        top_k(values, k=1)


@pytest.mark.parametrize(
    "params", [{"k": 0, "by": "x"}, {"k": 3}, {"k": 3, "by": ""}, {"k": 1, "by": "x", "order": "up"}]
)
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        TOP_K.params(**params)
