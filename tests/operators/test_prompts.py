"""Templates as parameters: the text or a file of it, from the spec's folder; what is held is always the text."""

from typing import Annotated

import pytest
from pydantic import ValidationError

from engine.operator import Params
from engine.operators import _prompts
from engine.operators._prompts import Template, fill, shipped


@pytest.fixture
def prompts(tmp_path, monkeypatch):
    """A params class with one template, whose shipped text is `Improve {instruction}`."""
    _prompts.text_of.cache_clear()
    monkeypatch.setattr(_prompts, "FOLDER", tmp_path / "shipped")
    (tmp_path / "shipped" / "trial").mkdir(parents=True)
    (tmp_path / "shipped" / "trial" / "rewrite.txt").write_text("Improve {instruction}\n")

    class Prompts(Params):
        rewrite: Annotated[str, Template("instruction")] = shipped("trial/rewrite")

    yield Prompts
    _prompts.text_of.cache_clear()


def read(model, value, folder):
    import json

    return model.model_validate_json(json.dumps({"rewrite": value}), context={"folder": folder}).rewrite


def test_the_shipped_text_is_the_default_and_part_of_what_is_hashed(prompts):
    assert prompts().model_dump() == {"rewrite": "Improve {instruction}"}


def test_a_file_is_read_from_the_specs_folder_and_equals_its_text(prompts, tmp_path):
    (tmp_path / "mine.txt").write_text("Better: {instruction}\n", encoding="utf-8")
    assert read(prompts, {"file": "mine.txt"}, tmp_path) == "Better: {instruction}"
    assert read(prompts, "Better: {instruction}", tmp_path) == "Better: {instruction}"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no field", r"the prompt needs \{instruction\}"),
        ({"file": "absent.txt"}, "can't read the prompt"),
        ({"path": "x"}, r"a prompt is a text, or \{file: PATH\}"),
        (3, "string"),
    ],
)
def test_what_is_no_template_is_refused(prompts, tmp_path, value, reason):
    with pytest.raises(ValidationError, match=reason):
        read(prompts, value, tmp_path)


def test_a_file_that_lacks_a_field_is_refused(prompts, tmp_path):
    (tmp_path / "mine.txt").write_text("nothing", encoding="utf-8")
    with pytest.raises(ValidationError, match="needs"):
        read(prompts, {"file": "mine.txt"}, tmp_path)


def test_braces_that_name_no_field_stay():
    assert fill('{"a": {x}} {x} {y}', {"x": "{y}"}) == '{"a": {y}} {y} {y}'


def test_editors_are_told_both_forms(prompts):
    assert [form["type"] for form in prompts.model_json_schema()["properties"]["rewrite"]["anyOf"]] == [
        "string",
        "object",
    ]
