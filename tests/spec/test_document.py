"""YAML to plain values, and the place of everything in the text."""

import pytest
import yaml

from engine.errors import Place, SetwrightError, SpecError
from engine.spec import composer
from engine.spec.document import Document
from engine.spec.values import plain_scalar


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "spec.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Document.read(path)

    return read


@pytest.fixture(params=["libyaml", "pure Python"])
def loader(request, monkeypatch):
    if request.param == "pure Python":
        monkeypatch.setattr(composer, "LOADER", yaml.SafeLoader)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("y", "y"),
        ("17", 17),
        ("-3", -3),
        ("+3", 3),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        (".", "."),
        ("-", "-"),
        ("1e", "1e"),
        ("9" * 5000, "9" * 5000),  # no number that anyone means
    ],
)
def test_plain_scalars_follow_the_core_schema(text, value):
    assert plain_scalar(text) == value
    assert type(plain_scalar(text)) is type(value)


TEXT = """\
name: example   # a comment
nested:
  list: [a, {b: 1}, "3"]
  empty:
  text: |
    first
    second
"""


def test_values_and_places(read, loader):
    document = read(TEXT)
    assert document.data == {
        "name": "example",
        "nested": {"list": ["a", {"b": 1}, "3"], "empty": None, "text": "first\nsecond\n"},
    }

    def at(*path, of="value"):
        place = document.place(path, of)
        return place.line, place.column

    assert at("name", of="key") == (1, 1)
    assert at("name") == (1, 7)
    assert at("nested", "list", of="key") == (3, 3)
    assert at("nested", "list", 0) == (3, 10)
    assert at("nested", "list", 1, "b") == (3, 17)
    assert at("nested", "text") == (5, 9)


def test_a_path_that_is_not_there_has_the_place_of_its_nearest_ancestor(read):
    document = read(TEXT)
    assert document.place(("nested", "list", 1, "absent", "deeper")) == document.place(("nested", "list", 1), "key")
    assert document.place(("nested", "list", 7)) == document.place(("nested", "list"), "key")
    assert document.place(("absent",)) == Place(document.file, 1, 1)


@pytest.mark.parametrize(
    ("text", "mark", "line", "column"),
    [
        ("q: SELECT é, pool FROM x", "pool", 1, 14),
        ("q: 'SELECT a FROM pool'", "pool", 1, 19),
        ("q: |\n  SELECT a\n    FROM pool", "pool", 3, 10),
        ("q: |-\n\n  SELECT a\n  FROM pool", "pool", 4, 8),
        ("q: >\n  FROM pool", "pool", 2, 8),
        ("q: >\n  SELECT a\n  FROM pool", "pool", 1, 4),  # folded: the lines aren't those of the text
        (r'q: "SELECT\ta FROM pool"', "pool", 1, 4),  # an escape: the characters aren't those of the text
    ],
)
def test_places_within_a_string(read, loader, text, mark, line, column):
    document = read(text)
    value = document.data["q"]
    place = document.place_within(("q",), value, value.index(mark))
    assert (place.line, place.column) == (line, column)


def test_anchors_and_merges(read, loader):
    text = """\
base: &base {a: 1, b: 2}
other: &other {b: 3, c: 4}
one: {<<: *base, b: 9}
both: {<<: [*base, *other], d: 5}
same: *base
"""
    document = read(text)
    assert document.data["one"] == {"a": 1, "b": 9}
    assert document.data["both"] == {"a": 1, "b": 2, "c": 4, "d": 5}
    assert document.data["same"] == {"a": 1, "b": 2}
    assert document.place(("same",)).line == 5
    assert document.place(("one", "a"), "key") == Place(document.file, 1, 14)


def test_a_quoted_merge_key_is_a_key(read):
    assert read('a: {"<<": 1}').data == {"a": {"<<": 1}}


def test_a_byte_order_mark_and_windows_line_ends_are_read(read, loader):
    document = read(b"\xef\xbb\xbfname: a\r\nseed: 1\r\n")
    assert document.data == {"name": "a", "seed": 1}
    assert document.place(("seed",)) == Place(document.file, 2, 7)


def test_problems_do_not_end_the_reading(read):
    document = read("a: 1\na: 2\n3: x\nb: *nothing\nc: !foo d\ne: 5\n")
    assert [str(problem.place)[-3:] for problem in document.problems] == ["2:1", "3:1", "4:4", "5:4"]
    assert (document.data["a"], document.data["e"]) == (1, 5)


def test_a_document_of_any_depth_is_refused_without_a_crash(read):
    for text in ("a: " + "[" * 100_000, "a:\n  " + "- " * 100_000):
        with pytest.raises(SpecError, match="nested deeper"):
            read(text)


def test_a_file_that_is_not_there(tmp_path):
    (tmp_path / "curate.yaml").write_text("name: a")
    with pytest.raises(SetwrightError, match="there is no file") as error:
        Document.read(tmp_path / "quikstart.yaml")
    assert "did you mean 'curate.yaml'?" in str(error.value.cure)
    with pytest.raises(SetwrightError, match="can't read"):
        Document.read(tmp_path)


def test_the_name_of_the_file_is_the_users(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("- 1")
    with pytest.raises(SpecError, match=r"^a\.yaml:1:1: "):
        Document.read(type(tmp_path)("a.yaml"))
