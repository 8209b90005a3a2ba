"""References to the environment in strings."""

import pytest

from engine.spec.document import Document
from engine.spec.environment import FromEnvironment, Reader
from engine.spec.problems import Problems
from engine.spec.values import BROKEN

ENVIRON = {"NAME": "value", "EMPTY": "", "API_KEY": "sk", "NESTED": "${NAME}"}


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "spec.yaml"
        path.write_text(text, encoding="utf-8")
        problems = Problems(Document.read(path))
        return Reader(problems, ENVIRON).read(problems.document.data), problems.found

    return read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "value"),
        ("a ${NAME} b ${NAME}", "a value b value"),
        ("${EMPTY}", ""),
        ("${ABSENT:-}", ""),
        ("${ABSENT:-some: default}", "some: default"),
        ("${EMPTY:-default}", "default"),
        ("${NAME:-default}", "value"),
        ("$${NAME}", "${NAME}"),
        ("$NAME $5 {NAME} $", "$NAME $5 {NAME} $"),
        ("${NESTED}", "${NAME}"),  # what comes out is not read again
    ],
)
def test_references(read, text, value):
    data, problems = read(f'a: ["{text}"]')
    assert (data, problems) == ({"a": [value]}, [])


def test_only_what_was_read_is_marked(read):
    data, _ = read('a: "${NAME}"\nb: "$${NAME}"\nc: plain\nd: "${ABSENT:-1}"')
    assert [isinstance(value, FromEnvironment) for value in data.values()] == [True, False, False, True]


@pytest.mark.parametrize(
    ("text", "columns"),
    [("${ABSENT}", [5]), ("${NAME}${ABSENT} ${GONE}", [12, 22]), ("${}", [5]), ("${NA-ME}", [5]), ("${NAME", [5])],
)
def test_references_that_say_nothing(read, text, columns):
    data, problems = read(f'a: "{text}"')
    assert data["a"] is BROKEN
    assert [problem.place.column for problem in problems] == columns


@pytest.mark.parametrize("name", ["API_KEY", "HF_TOKEN", "MY_SECRET", "DB_PASSWORD", "Credentials", "api_key"])
def test_secrets_stay_with_models(read, name):
    spec = """
models:
  a: {api_key: "${NAME:-x}", base_url: "${NAME:-x}", params: {extra: "${NAME:-x}"}}
  b: &b {model: "${NAME:-x}"}
run: {endpoints: {a: "${NAME:-x}"}}
name: "${NAME:-x}"
"""
    _, problems = read(spec.replace("NAME", name))
    assert [problem.path for problem in problems] == ["models.a.params.extra", "models.b.model", "name"]
    assert all("secret" in problem.message for problem in problems)


def test_an_alias_carries_no_secret_away(read):
    data, problems = read('models:\n  a: {api_key: &key "${API_KEY}", params: {header: *key}}\n')
    assert data["models"]["a"]["api_key"] == "sk"
    assert data["models"]["a"]["params"]["header"] is BROKEN
    assert [problem.path for problem in problems] == ["models.a.params.header"]
