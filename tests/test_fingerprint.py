"""Identity: stable forms only, and differences named field by field."""

import pytest

from engine.errors import SetwrightError
from engine.fingerprint import canonical, changes, effective, fingerprint


def test_the_order_of_keys_does_not_matter():
    assert fingerprint({"a": 1, "b": [1.5, None]}) == fingerprint({"b": [1.5, None], "a": 1})


def test_tuples_are_lists():
    assert canonical({"a": (1, 2)}) == canonical({"a": [1, 2]})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: "a"}, {"a": {1, 2}}, {"a": object()}, b"raw"])
def test_values_without_one_stable_form_are_refused_with_a_cure(value):
    with pytest.raises(SetwrightError, match="no single stable form") as caught:
        fingerprint({"params": value})
    assert caught.value.cure
    assert "payload.params" in str(caught.value)


def test_changes_name_the_leaves():
    old = {"params": {"budget": 100, "gone": 1}, "version": 1}
    new = {"params": {"budget": 200, "fresh": "x"}, "version": 1}
    assert [str(c) for c in changes(old, new)] == [
        "params.budget: 100 -> 200",
        'params.fresh is new: "x"',
        "params.gone is gone (was 1)",
    ]


def test_changes_look_into_lists_of_one_length():
    old = {"tests": [{"min": 1}, {"max": 5}]}
    assert [str(c) for c in changes(old, {"tests": [{"min": 1}, {"max": 6}]})] == ["tests[1].max: 5 -> 6"]
    assert [c.path for c in changes(old, {"tests": [{"min": 1}]})] == ["tests"]


def test_an_incomplete_result_has_an_identity_of_its_own():
    assert effective("f", []) == "f"
    assert effective("f", ["a", "b"]) == effective("f", ["b", "a"]) != "f"
    assert effective("f", ["a"]) != effective("f", ["b"])
