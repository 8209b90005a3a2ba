"""Every data test, holding and failing, with what it says."""

import pytest
from project import Project

TABLE = """
tables:
  pool:
    source: data.jsonl
    params: {shape: raw}
    tests: [%s]
"""
ROWS = [
    {"lang": "en", "score": 0.5, "text": "a"},
    {"lang": "de", "score": 1.5, "text": "a"},
    {"lang": "xx", "score": None, "text": None},
]

CASES = [
    ("{rows: {min: 3, max: 3}}", True, ""),
    ("{rows: {min: 4}}", False, "3 rows"),
    ("{rows: {max: 2}}", False, "3 rows"),
    ("{unique: lang}", True, ""),
    ("{unique: [text]}", False, "repeated: a (2 times)"),
    ("{unique: [text, lang]}", True, ""),
    ("{not_null: lang}", True, ""),
    ("{not_null: [lang, score]}", False, "score is null in "),
    ("{accepted_values: {column: lang, values: [en, de, xx]}}", True, ""),
    ("{accepted_values: {column: lang, values: [en, de]}}", False, "not accepted: xx"),
    ("{range: {column: score, min: 0, max: 2}}", True, ""),
    ("{range: {column: score, max: 1}}", False, "score is out of range in "),
    ('{sql: "SELECT lang FROM pool WHERE score > 9"}', True, ""),
    ("{sql: \"SELECT lang FROM pool WHERE lang = 'xx'\"}", False, "rows: ('xx',)"),
]


@pytest.mark.parametrize(("test", "holds", "detail"), CASES)
def test_data_tests(tmp_path, test, holds, detail):
    project = Project(tmp_path).spec(TABLE % test).data(ROWS)
    assert project.build().exit_code == (0 if holds else 1)
    ((passed, said, failures),) = project.sql("SELECT passed, detail, failures FROM tests")
    assert passed is holds
    assert said.startswith(detail)
    assert (failures > 0) is not holds


def test_the_outcome_is_cached_and_still_counts(tmp_path):
    project = Project(tmp_path).spec(TABLE % "{rows: {min: 4}}").data(ROWS)
    assert [project.build().exit_code for _ in range(2)] == [1, 1]
    assert project.plan().pending() == []
