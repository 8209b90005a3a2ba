"""`test`: data tests of what is built, and nothing else."""

import pytest
from project import Project
from story import run, shell

SPEC = """
tables:
  pool:
    source: data.jsonl
    params: {shape: raw}
    tests: [{unique: word}, {rows: {min: 9}, severity: warn}]
  long:
    select: filter
    from: pool
    params: {where: length(word) > 3}
    tests:
      - {range: {column: n, min: 0}}
      - {not_null: word}
  bare:
    select: random
    from: pool
    params: {k: 1}
"""
ROWS = [{"word": word, "n": n} for n, word in enumerate(("river", "stone", "sky", "bread"))]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path).spec(SPEC).data(ROWS)


def outcomes(project, *tables):
    outcome = run("test", project.file, *tables, "--home", project.home, "--json")
    return outcome.code, [(o["table"], o["test"], o["outcome"], o["detail"]) for o in outcome.json]


def test_every_test_is_told_with_its_outcome(project):
    project.build()
    assert outcomes(project) == (
        0,
        [
            ("pool", "unique(word)", "passed", ""),
            ("pool", "rows(min=9)", "warned", "4 rows"),
            ("long", "range(n, min=0)", "passed", ""),
            ("long", "not_null(word)", "passed", ""),
        ],
    )
    assert outcomes(project, "long")[1] == outcomes(project)[1][2:]
    text = run("test", project.file, "--home", project.home).out
    assert "pool   rows(min=9)      warned          1  4 rows" in text
    assert text.endswith("3 passed, 1 warned\n")


def test_a_failed_test_of_severity_error_exits_with_1(project):
    project.build()
    project.spec(SPEC.replace("min: 0", "min: 2"))  # only the test is new: its table stays as it is
    code, found = outcomes(project, "long")
    row = project.sql("SELECT row_id FROM long WHERE n < 2 ORDER BY n")
    assert code == 1
    assert found[0][:3] == ("long", "range(n, min=2)", "failed")
    assert found[0][3].startswith("n is out of range in ")
    assert all(id_ in found[0][3] for (id_,) in row)
    assert found[1][2] == "passed"


def test_nothing_else_is_built(project):
    code, found = outcomes(project)
    assert (code, {(o[0], o[2]) for o in found}) == (1, {("pool", "not run"), ("long", "not run")})
    assert not list((project.home / "objects").glob("*/manifest.json")) if (project.home / "objects").exists() else True
    project.build()
    project.spec(SPEC.replace("> 3", "> 4"))
    code, found = outcomes(project, "long")
    assert (code, found[0][2]) == (1, "not run")
    assert project.sql("SELECT count(*) FROM long") == [(3,)], "still as it was built"
    outcome = run("test", project.file, "long", "--home", project.home)
    assert (outcome.code, f"cure: setwright build {project.file}" in outcome.err) == (1, True)


def test_tables_without_tests_and_tables_that_are_not_there(project):
    for args, said in ((["bare"], "bare has no tests"), (["lung"], "has no table 'lung' (did you mean 'long'?)")):
        outcome = run("test", project.file, *args, "--home", project.home)
        assert outcome.code == 2
        assert said in outcome.err
    project.spec("tables:\n  pool: {source: data.jsonl}\n")
    outcome = run("test", project.file, "--home", project.home)
    assert (outcome.code, "no table of trial has tests" in outcome.err) == (2, True)


def test_in_a_process_of_its_own(project):
    project.build()
    outcome = shell("test", project.file, "long", "--home", project.home)
    assert outcome.code == 0, outcome.err
    assert outcome.out.endswith("2 passed\n")
