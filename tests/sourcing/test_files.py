"""Finding a source's files, their formats, and what identifies them."""

import hashlib
import json

import pytest
from sourcing.sources import jsonl

from engine import sourcing
from engine.errors import SetwrightError
from engine.registry import operator_names
from engine.sourcing.files import inputs, readers


def hash_file(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def identity(text, base, **params):
    found = sourcing.identity(sourcing.resolve(text, base), sourcing.SourceParams(**params), hash_file)
    return json.loads(json.dumps(found))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for name in ("b.jsonl", "a.jsonl", "deep/c.jsonl", "[x].jsonl", ".hidden.jsonl"):
        jsonl(tmp_path / "data" / name, [{"text": name}])
    return tmp_path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("data/a.jsonl", ["data/a.jsonl"]),
        ("data/*.jsonl", ["data/[x].jsonl", "data/a.jsonl", "data/b.jsonl"]),
        ("data/[ab].jsonl", ["data/a.jsonl", "data/b.jsonl"]),
        ("data/[x].jsonl", ["data/[x].jsonl"]),
        ("data/**/*.jsonl", ["data/[x].jsonl", "data/a.jsonl", "data/b.jsonl", "data/deep/c.jsonl"]),
        ("../{}/data/a.jsonl", ["../{}/data/a.jsonl"]),
    ],
)
def test_paths_and_globs(folder, text, names):
    source = sourcing.resolve(text.format(folder.name), folder)
    assert [name for name, _ in source.files] == [name.format(folder.name) for name in names]
    assert all(path.is_file() for _, path in source.files)


def test_absolute_paths(folder):
    source = sourcing.resolve(str(folder / "data" / "*.jsonl"), folder / "elsewhere")
    assert [path.name for _, path in source.files] == ["[x].jsonl", "a.jsonl", "b.jsonl"]


@pytest.mark.parametrize(
    ("text", "message", "cure"),
    [
        ("data/aa.jsonl", "there is no such file", "did you mean 'data/a.jsonl'?"),
        ("daat/a.jsonl", "there is no such file", "did you mean 'data'?"),
        ("data/*.josnl", "matches no file", "Paths are relative to the spec's folder"),
        ("data", "data is a folder", "data/*.jsonl"),
        ("hf:./dota", "there is no such folder", "did you mean 'data'?"),
        ("nowhere/at/all.jsonl", "there is no such file", "Paths are relative"),
    ],
)
def test_what_is_not_there(folder, text, message, cure):
    with pytest.raises(SetwrightError) as raised:
        sourcing.resolve(text, folder)
    assert message in raised.value.message
    assert cure in (raised.value.cure or "")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a.jsonl", "jsonl"), ("a.NDJSON", "jsonl"), ("a.json", "json"), ("a.json.gz", "json"), ("a.csv.zst", "csv"),
        ("a.parquet", "parquet"), ("a.pq", "parquet"), ("a.arrow", "arrow"), ("a.feather", "arrow"),
        ("a.jsonl.gz", "jsonl"),
    ],
)  # fmt: skip
def test_formats_by_ending(tmp_path, name, known):
    (tmp_path / name).write_bytes(b"")
    ((reader, source),) = inputs(sourcing.resolve(name, tmp_path), sourcing.SourceParams())
    assert reader is readers()[known]
    assert source.name == name


def test_an_unknown_ending_and_a_format_that_is_said(tmp_path):
    jsonl(tmp_path / "a.txt", [{"text": "x"}])
    source = sourcing.resolve("a.txt", tmp_path)
    with pytest.raises(SetwrightError, match=r"a\.txt: the format can't be told from its ending") as raised:
        sourcing.peek(source, sourcing.SourceParams())
    assert ".jsonl" in (raised.value.cure or "")
    assert sourcing.peek(source, sourcing.SourceParams(format="jsonl")).names == ["text"]


def test_formats_are_the_files_of_the_folder():
    assert set(readers()) == set(operator_names("source"))
    said = sourcing.SourceParams.model_json_schema()["properties"]["format"]["anyOf"][0]["enum"]
    assert {*said, "hf"} == set(readers())


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("data/a.jsonl", {"split": "train"}, "split is for hf: sources"),
        ("data/a.jsonl", {"revision": "x"}, "revision is for hf: sources"),
        ("hf:some/name", {"format": "jsonl"}, "format is for files"),
        ("data/p.parquet", {"as_json": ["a"]}, "as_json is for files of JSON or JSONL"),
    ],
)
def test_parameters_that_mean_nothing_are_errors(folder, text, params, message):
    (folder / "data" / "p.parquet").write_bytes(b"")
    with pytest.raises(SetwrightError, match=message):
        inputs(sourcing.resolve(text, folder), sourcing.SourceParams(**params))


def test_identity_is_of_contents_and_formats(folder):
    before = identity("data/[ab].jsonl", folder)
    assert [set(entry) for entry in before["inputs"]] == [{"format", "version", "content"}] * 2
    (folder / "data" / "a.jsonl").rename(folder / "data" / "a1.jsonl")
    (folder / "data" / "b.jsonl").rename(folder / "data" / "a2.jsonl")
    assert identity("data/a?.jsonl", folder) == before
    assert str(folder) not in json.dumps(before)
    jsonl(folder / "data" / "a2.jsonl", [{"text": "changed"}])
    assert identity("data/a?.jsonl", folder) != before


def test_identity_knows_the_format(folder):
    (folder / "data" / "a.jsonl").rename(folder / "data" / "a.json")
    assert identity("data/a.json", folder) != identity("data/a.json", folder, format="jsonl")


def test_identity_of_a_folder_of_the_datasets_library(folder):
    before = identity("hf:./data", folder)
    (entry,) = before["inputs"]
    assert set(entry["content"]) == {"a.jsonl", "b.jsonl", "[x].jsonl", "deep/c.jsonl"}, "names name the splits there"
    jsonl(folder / "data" / "cache-123.arrow", [])
    assert identity("hf:./data", folder) == before
