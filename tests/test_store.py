"""Objects appear whole or not at all, refs point to them, one build holds a home."""

import os

import pyarrow as pa
import pytest

from engine.errors import StoreError
from engine.store import Manifest, Store

TABLE = pa.table({"row_id": ["a", "b"]})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home")


def manifest(fingerprint="f", parts=(2,)):
    return Manifest(fingerprint, {"operator": "x"}, parts, {"row_id": "string"}, {})


def test_presence_of_the_manifest_means_complete(store):
    store.write_part("f", 0, TABLE)
    assert store.manifest("f") is None
    assert store.parts_done("f") == 1
    store.complete(manifest())
    assert store.manifest("f") == manifest()
    assert store.read_part("f", 0).equals(TABLE)


def test_a_part_that_is_being_written_is_not_there(store):
    store.write_part("f", 0, TABLE)
    (store.folder("f") / "part-00001.99.tmp").write_bytes(b"half")
    assert store.parts_done("f") == 1
    assert not store.has_part("f", 1)


def test_a_broken_manifest_names_the_cure(store):
    store.write_part("f", 0, TABLE)
    (store.folder("f") / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="delete"):
        store.manifest("f")


def test_linked_parts_share_their_bytes_and_survive_their_source(store):
    store.write_part("f", 0, TABLE)
    store.write_part("f", 0, TABLE, "errors")
    store.link_parts("f", "g")
    assert store.part_path("f", 0).samefile(store.part_path("g", 0))
    assert store.remove("f") == 0
    assert store.read_part("g", 0).equals(TABLE)
    assert store.side_files("g", "errors")


def test_refs(store):
    store.set_ref("spec", "pool", {"a": 1})
    store.set_ref("spec", "pool.length", {"a": 2})
    assert store.ref("spec", "pool") == {"a": 1}
    assert store.ref_names("spec") == ["pool", "pool.length"]
    store.drop_refs("spec", keep={"pool"})
    assert store.ref_names("spec") == ["pool"]
    assert store.spec_names() == ["spec"]
    assert store.ref("spec", "nothing") is None


def test_a_second_build_is_told_who_holds_the_home(store):
    with store.lock("setwright build a.yaml", wait=False):
        held = r"held by setwright build a.yaml \(process \d+\)"
        with pytest.raises(StoreError, match=held), Store(store.home).lock("other", wait=False):
            pass
    with store.lock("again", wait=False):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_an_unwritable_home_is_a_clear_error(store):
    store.home.mkdir()
    store.home.chmod(0o500)
    with pytest.raises(StoreError, match="can't write"):
        store.write_part("f", 0, TABLE)


def test_a_home_that_is_a_file_is_a_clear_error(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreError, match="can't write"):
        Store(tmp_path / "home").write_part("f", 0, TABLE)
