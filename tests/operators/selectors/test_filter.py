import pyarrow as pa
import pytest
from operators.fakes import run, table
from pydantic import ValidationError

from engine.errors import SetwrightError
from engine.registry import operator

FILTER = operator("select", "filter")


def test_true_is_kept_and_the_reason_tells_false_from_null():
    held = pa.chunked_array([[True], [False, None], [True]])
    verdict = run(FILTER, table(where=held), where="n_words > 10")
    assert verdict["selected"].to_pylist() == [True, False, False, True]
    assert verdict["select_rank"].to_pylist() == [0, None, None, 1]
    assert verdict["drop_reason"].to_pylist() == [
        None, "where is false: n_words > 10", "where is null: n_words > 10", None,
    ]  # fmt: skip
    assert verdict["nn_id"].null_count == verdict["nn_sim"].null_count == 4


def test_a_reason_of_ones_own():
    verdict = run(FILTER, table(where=[False, None]), where="n_words > 10", reason="too_short")
    assert verdict["drop_reason"].to_pylist() == ["too_short", "too_short (where is null)"]


def test_no_rows():
    assert run(FILTER, table(where=pa.array([], pa.bool_())), where="a").num_rows == 0


@pytest.mark.parametrize("values", [[1, 0], ["true", "false"], pa.nulls(2)])
def test_what_is_no_condition_is_an_error(values):
    with pytest.raises(SetwrightError, match=r"not true or false: n_words\n  cure"):
        run(FILTER, table(where=values), where="n_words")


@pytest.mark.parametrize("params", [{}, {"where": ""}, {"where": "a", "reason": ""}, {"where": True}])
def test_wrong_parameters(params):
    with pytest.raises(ValidationError):
        FILTER.params(**params)
