"""The `datasets` library: saved folders, folders of files, and a hub on loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from operators.sources.fake_hub import COMMIT, REPOSITORY, FakeHub
from operators.sources.reading import read_all, written

from engine.errors import SetwrightError
from engine.operators.sources._reader import Input
from engine.operators.sources.hf import READER

TALKS = [[{"role": "user", "content": f"hi {i}"}] for i in range(10)]


@pytest.fixture
def saved(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    dataset = datasets.Dataset.from_dict({"i": list(range(10)), "messages": TALKS})
    dataset.select([7, 2, 5]).save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=dataset, test=dataset.select([0])).save_to_disk(tmp_path / "two")
    datasets.DatasetDict(train=dataset).save_to_disk(tmp_path / "single")
    return tmp_path


def test_a_saved_data_set_in_the_order_of_its_indices(saved):
    source = Input("hf:./one", saved / "one")
    found = read_all(READER, source)
    assert found.schema.field("messages").type == pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
    assert found.rows == [{"i": i, "messages": TALKS[i]} for i in (7, 2, 5)]
    assert found.records == [1, 2, 3]
    assert READER.count(source) == 3


def test_splits(saved):
    two = saved / "two"
    assert len(read_all(READER, Input("hf:./two", two, split="train")).rows) == 10
    assert len(read_all(READER, Input("hf:./two", two, split="test")).rows) == 1
    assert len(read_all(READER, Input("hf:./single", saved / "single")).rows) == 10
    with pytest.raises(SetwrightError, match="no split is named") as raised:
        read_all(READER, Input("hf:./two", two))
    assert raised.value.cure == "set split to one of: train, test"
    with pytest.raises(SetwrightError, match="there is no split 'trian' \\(did you mean 'train'\\?\\)"):
        read_all(READER, Input("hf:./two", two, split="trian"))
    with pytest.raises(SetwrightError, match="revision 'v1' has no meaning here"):
        read_all(READER, Input("hf:./two", two, split="train", revision="v1"))


def test_a_folder_of_files(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "folder"
    folder.mkdir()
    written(folder / "train.jsonl", '{"a": "x"}\n{"a": "y"}\n')
    written(folder / "test.jsonl", '{"a": "z"}\n')
    found = read_all(READER, Input("hf:./folder", folder, split="train"))
    assert [row["a"] for row in found.rows] == ["x", "y"]
    assert len(read_all(READER, Input("hf:./folder", folder, split="train[:1]")).rows) == 1
    assert READER.count(Input("hf:./folder", folder, split="train")) is None
    with pytest.raises(SetwrightError, match="Unknown split"):
        read_all(READER, Input("hf:./folder", folder, split="dev"))


def test_a_damaged_folder_is_an_error_that_names_it(saved):
    for path in (saved / "one").glob("*.arrow"):
        written(path, b"no arrow")
    with pytest.raises(SetwrightError, match=r"hf:\./one can't be loaded"):
        read_all(READER, Input("hf:./one", saved / "one"))


HUB_SCRIPT = f"""
import json
from pathlib import Path
from engine import sourcing
from engine.errors import SetwrightError

source = sourcing.resolve("hf:{REPOSITORY}", Path())
params = sourcing.SourceParams(split="train")
parts = sourcing.read(source, params, part_rows=10)
said = [sourcing.identity(source, params, None), [row["a"] for part in parts for row in part.table.to_pylist()]]
try:
    sourcing.peek(sourcing.resolve("hf:someone/missing", Path()), params)
except SetwrightError as error:
    said.append(str(error))
print(json.dumps(said))
"""


@pytest.mark.slow
def test_a_data_set_of_the_hub_and_the_same_without_network(tmp_path):
    pytest.importorskip("datasets")

    def said(**variables):
        root = str(Path(__file__).parents[3])
        env = {**os.environ, "HF_HOME": str(tmp_path), "PYTHONPATH": root, **variables}
        done = subprocess.run([sys.executable, "-c", HUB_SCRIPT], env=env, check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])

    with FakeHub() as hub:
        identity, rows, error = said(HF_ENDPOINT=hub.url)
    (entry,) = identity["inputs"]
    assert entry == {
        "format": "hf", "version": 1, "name": REPOSITORY, "config": None, "split": "train", "commit": COMMIT,
    }  # fmt: skip
    assert rows == ["x", "y"]
    assert "hf:someone/missing can't be loaded: Dataset 'someone/missing' doesn't exist on the Hub" in error
    assert said(HF_HUB_OFFLINE="1")[:2] == [identity, rows]
