"""The corpus of broken specs: every problem of each, with its place and its words, and no other.

A spec holds what is expected of it in comments: `# ! 7: tables.curated.params...` on the line itself (7 is the column),
or `# ! 12:7: ...` on another line where a comment can't stand on that one.
"""

import re
from pathlib import Path

import pytest

from engine.errors import SpecError
from engine.spec.load import load_spec

CORPUS = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
EXPECTATION = re.compile(r"# ! (?:(\d+):)?(\d+): ")

KINDS = [
    # the file and its YAML
    "the file is empty",
    "the byte 0x.. is not UTF-8",
    r"the character U\+.... can't stand in YAML",
    "not YAML: found a tab character",
    "not YAML: a value can't begin with %",
    "not YAML: mapping values are not allowed",
    "not YAML: found unexpected end of stream",
    "not YAML: did not find expected",
    "a spec is a mapping of keys to values, found",
    "a second document begins here",
    "nested deeper than",
    "its aliases make this a document of more than",
    r"no anchor &\w+ stands before this alias",
    r"the alias \*\w+ stands inside the value that it names",
    "<< takes a mapping or a list of mappings, found",
    "unknown tag !",
    "a key must be a string, found",
    r"duplicate key \(first in line \d+\)",
    # the environment
    r"the environment variable \w+ is not set",
    "not a reference to the environment",
    r"\w+ has a secret's name",
    # keys and values
    "unknown key of a (table|model)$",  # which have too many to list
    r"unknown key of .* \(did you mean",
    r"unknown key of .* \(one of",
    r"unknown key \(did you mean",
    r"unknown parameter of .* \(did you mean",
    r"unknown parameter of .* \(one of",
    r"missing \(.* needs it\)",
    "expected a mapping, found",
    "expected a list, found",
    "expected a string, found",
    "expected a string or a list, found",
    "expected an integer, found",
    r"expected an integer, found the string 'ten' \(from the environment\)",
    "expected true or false, found",
    "expected '.*', found",
    "must be at least .*, found",
    "must be at most .*, found",
    "must not be empty",
    "n: 4 answers at temperature 0",
    "give either k .* or share",
    "not a regular expression",
    # the head, names, how to run
    "missing .write version: 1.",
    "this Setwright reads version 1, found",
    "a spec has at least one table",
    "a name is made of a-z, 0-9, _ and -",
    "a name is made of a-z, 0-9 and _, and begins with a letter",
    r"\w+ is a view of the catalog",
    r"the name is taken by models\.",
    # models
    r"unknown backend .* \(did you mean",
    "missing .a model names its backend, or by `train` its trainer.",
    "a model has one of use and train",
    r"unknown trainer .* \(did you mean",
    r"missing .train: sft starts from a model",
    r"missing .train: sft reads the rows of a table",
    "train: sft takes no model; its base has one",
    "train: sft takes no base_url",
    r"models\.\w+ .use: \w+. has no weights at hand, which train: sft starts from",
    r"use: \w+ takes no (base|data|columns); it is for a model that is trained",
    "a trained model is served in this process",
    "not a command: No closing quotation",
    r"must be less than 1, found",
    "a model can't be its own base",
    r"use: \w+ takes no model",
    r"use: \w+ takes no base_url",
    "not an address like",
    r"unknown model .* \(did you mean",
    ".* is a table, not a model",
    r"models\.\w+ \(use: \w+\) does not offer \w+, which generate: \w+ needs",
    r"missing \(.* needs a model that offers",
    r"select: \w+ asks no model",
    r"generate: \w+ asks several models; name them under models \(",
    r"generate: \w+ asks one model; name it under model",
    r"generate: \w+ has no role .* \(did you mean",
    r"select: \w+ reads no side table .* \(did you mean",
    r"missing \(.* reads .* of such a side table\)",
    # rewards
    "a reward is a mapping that has one of: use, score, sql",
    r"rewards: more than one is called \w+; weights: mean nothing",
    r"must be greater than 0, found",
    r"score: \w+ asks no model",
    r"models\.\w+ \(use: \w+\) does not offer \w+, which score: \w+ needs",
    r"unknown parameter of score: length$",
    "a model can't judge its own training",
    r"a reward by \w+ is given by the build, and a hand-off trains elsewhere",
    # hand-offs
    r"missing .a hand-off names the \w+",
    # tables and the graph
    "a table has one of: source, generate, select, sql",
    r"a table has one verb, and this one has \w+ already",
    "a source table takes no",
    "a sql table takes no from; name the tables in the query",
    "a sql table takes no params",
    "a sql table takes no columns",
    r"unknown generator .* \(did you mean",
    r"unknown selector .* \(did you mean",
    r"unknown scorer .* \(did you mean",
    r"unknown table .* \(did you mean",
    r"unknown table .* \(one of",
    ".* is a model, not a table",
    r"missing \(.* selects from a table\)",
    r"missing \(.* reads \w+ from a table\)",
    "pool stands in this list already",
    "a table can't read itself",
    r"cycle: (\w+ -> )+\w+",
    # scores and data tests
    "a second score named '.*' on this table",
    r"missing \(a score names its scorer\)",
    "a name is made of .* neither from nor tests",
    "a data test has one of: rows, unique",
    "the same test stands in line",
    "give min, max, or both",
    r"min \d+ is above max \d+",
    "a test sees no table but its own",
    # SQL
    "DuckDB: syntax error",
    "DuckDB: unterminated string",
    "only a SELECT may stand here",
    "exactly one SELECT must stand here",
    "exactly one SQL expression must stand here",
    "the expression is unfinished",
    r"[\w(]+ is out of reach: SQL sees the tables of the spec alone, no files, settings, clock or chance",
    "SHOW is out of reach",
    r"write \w+ without its schema",
    "'.*' is a file; let a source table read it",
    "a sample is drawn anew at every run",
    "there is no value for a parameter here",
    r"the aggregate \w+ needs other rows",
    "a subquery needs other rows",
    "a window function needs other rows",
    "unnest makes several rows of one",
    "name the columns one by one",
]


def expected(path: Path) -> set[str]:
    found = set()
    for number, line in enumerate(path.read_bytes().decode(errors="replace").split("\n"), start=1):
        _, *parts = EXPECTATION.split(line)
        for row, column, message in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            found.add(f"{path}:{row or number}:{column}: {message.strip()}")
    return found


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_every_problem_is_found_where_it_is(path, monkeypatch):
    monkeypatch.delenv("SETWRIGHT_TEST_UNSET", raising=False)
    monkeypatch.setenv("SETWRIGHT_TEST_WORD", "ten")
    with pytest.raises(SpecError) as error:
        load_spec(path)
    assert {str(problem) for problem in error.value.problems} == expected(path)


def test_the_corpus_holds_every_kind_of_problem():
    problems = [problem for path in CORPUS for problem in expected(path)]
    assert len(CORPUS) >= 60
    assert [kind for kind in KINDS if not any(re.search(kind, problem) for problem in problems)] == []
    assert [problem for problem in problems if not any(re.search(kind, problem) for kind in KINDS)] == []
