"""`init`: a project that builds, and no file of the user's is ever lost."""

from pathlib import Path

import pytest
from story import run, shell

from engine.assets import folder

SHIPPED = sorted(path.stem for path in folder("specs").glob("*.yaml"))


def files(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in Path(directory).rglob("*") if p.is_file()}


def test_the_starter_builds_as_it_is(tmp_path):
    outcome = run("init", tmp_path / "new")
    spec = tmp_path / "new" / "curate.yaml"
    assert outcome.code == 0
    assert f"wrote {spec}\nwrote {tmp_path / 'new' / 'data' / 'instructions.jsonl'}\n" in outcome.out
    assert f"setwright build {spec}" in outcome.out
    built = run("build", spec, "--home", tmp_path / "home", "--json")
    assert built.code == 0
    assert run("show", spec, "curated", "--home", tmp_path / "home", "--json").json


def test_nothing_is_overwritten_and_then_nothing_is_written(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "instructions.jsonl").write_text("mine")
    outcome = run("init", tmp_path)
    assert outcome.code == 2
    assert outcome.err.startswith(f"already there: {tmp_path / 'data' / 'instructions.jsonl'}")
    assert files(tmp_path) == {"data/instructions.jsonl": b"mine"}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_spec_can_be_started_from(tmp_path, name):
    assert run("init", tmp_path, "--from", name).code == 0
    assert f"{name}.yaml" in files(tmp_path)


def test_data_that_is_read_by_default_comes_along(tmp_path):
    run("init", tmp_path, "--from", "respond")
    assert set(files(tmp_path)) == {"respond.yaml", "data/instructions.jsonl"}


def test_the_list_and_an_unknown_name(tmp_path):
    lines = run("init", "--list").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == SHIPPED
    assert all(len(line.split()) > 3 for line in lines), "each says what it does"
    outcome = run("init", tmp_path, "--from", "curat")
    assert (outcome.code, "(did you mean 'curate'?)" in outcome.err) == (2, True)
    assert files(tmp_path) == {}


def test_a_folder_that_can_not_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    outcome = run("init", tmp_path / "file" / "inside")
    assert (outcome.code, outcome.err.startswith("can't write")) == (2, True)


def test_in_a_process_of_its_own(tmp_path):
    outcome = shell("init", tmp_path)
    assert outcome.code == 0, outcome.err
    assert "curate.yaml" in files(tmp_path)
