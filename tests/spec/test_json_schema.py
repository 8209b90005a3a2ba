"""The schema for editors against good specs and broken ones, by a validator that knows nothing of the loader."""

import re
from pathlib import Path

import jsonschema
import pytest

from engine.registry import operator_names
from engine.spec.document import Document
from engine.spec.json_schema import json_schema

HERE = Path(__file__).parent

# What an editor can know without the rest of the spec: keys, types, operators, backends and their params.
SEEN = re.findall(
    r"\w+",
    """
    head_no_version head_next_version head_no_name head_name_with_spaces head_seed_text head_seed_negative
    head_unknown_key head_no_tables head_empty_tables head_list_of_tables head_tags_as_text name_upper_case
    name_with_dash model_unknown_backend model_without_use model_as_text model_without_model model_takes_no_model
    model_unknown_key model_unknown_param model_param_text model_param_too_small model_params_list model_nested_rule
    run_unknown_runner run_no_workers run_unknown_key run_as_text table_without_verb table_two_verbs
    table_misspelt_verb table_as_text table_empty table_unknown_key table_verb_number table_unknown_selector
    table_unknown_generator table_sql_with_from table_sql_with_params table_source_with_model table_source_with_from
    table_source_params table_columns_list table_column_number param_misspelt param_unlike_any param_missing
    param_missing_all param_text_for_integer param_underscore_for_integer param_yes_for_boolean param_too_small
    param_out_of_range param_empty_text param_list_for_text param_word_not_known param_number_in_list
    param_empty_list from_missing_select from_number from_list_with_number use_model_missing use_model_not_asked
    use_model_number score_unknown score_without_model score_without_scorer score_as_list score_mapping_for_list
    score_unknown_key test_unknown test_unlike_any test_bare_word test_two_in_one test_none test_severity
    test_unknown_argument test_rows_number test_rows_negative test_column_missing test_column_number test_no_values
    sql_empty sql_number
    """,
)


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def errors(validator, path):
    return [error.message for error in validator.iter_errors(Document.read(path).data)]


def test_a_good_spec_is_valid(validator):
    assert errors(validator, HERE / "good.yaml") == []


@pytest.mark.parametrize("name", SEEN)
def test_broken_specs_are_not(validator, name):
    assert errors(validator, HERE / "broken" / f"{name}.yaml")


def test_references_to_the_environment_stand_for_numbers(validator):
    data = Document.read(HERE / "good.yaml").data
    data["seed"] = "${SEED}"
    data["tables"]["curated"]["params"]["budget"] = "${BUDGET:-100}"
    assert validator.is_valid(data)
    data["tables"]["curated"]["params"]["budget"] = "many ${BUDGET}"
    assert not validator.is_valid(data)


def test_every_operator_is_named_with_what_it_does(validator):
    table = validator.schema["properties"]["tables"]["additionalProperties"]
    for verb in ("generate", "select"):
        named = {choice["const"]: choice["description"] for choice in table["properties"][verb]["oneOf"]}
        assert tuple(named) == operator_names(verb)
        assert all(named.values())
