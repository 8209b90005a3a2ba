"""Data sets of the Hugging Face `datasets` library: `hf:NAME` on the hub, or `hf:./folder` on this machine.

A folder is one that `save_to_disk` wrote or one of data files, as the library lays them out. Rows come as Arrow tables
straight from the data set. Nothing is loaded before it is read; the library itself is imported only then. Its progress
bars are switched off. Tokens are the library's own business (`HF_TOKEN`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from engine.errors import SetwrightError, did_you_mean
from engine.operators.sources._reader import BATCH_ROWS, Block, HashFile, Input, Reader, readable, record_numbers
from engine.operators.sources._types import conform, normal_schema, unify_inputs

if TYPE_CHECKING:
    from datasets import Dataset

_SAVED = ("state.json", "dataset_dict.json")  # what save_to_disk writes for a data set, for several splits


class HfReader(Reader):
    """Reads one split; a record is a row of it, counted from 1."""

    version = 1
    suffixes = ()

    def identity(self, source: Input, hash_file: HashFile) -> dict[str, Any]:
        """On the hub the commit that the revision stands for; of a folder its files by name: names make splits."""
        given = {"config": source.config, "split": source.split}
        if source.path is not None:
            return {"content": _folder_hashes(source.path, hash_file), **given}
        import datasets

        with _library(source):
            builder = datasets.load_dataset_builder(_name(source), source.config, revision=source.revision)
        return {"name": _name(source), "commit": builder.hash, **given}

    def scan(self, source: Input, known: pa.Schema) -> Iterator[pa.Schema]:
        """One step: the data set's own schema."""
        dataset = _load(source)
        yield unify_inputs(known, normal_schema(dataset.features.arrow_schema, source), source)

    def read(self, source: Input, schema: pa.Schema) -> Iterator[Block]:
        """Batches of at most `BATCH_ROWS` rows, in the order of the data set's indices."""
        first = 1
        for table in _load(source).with_format("arrow").iter(BATCH_ROWS):
            with readable(source):
                rows = conform(table, schema)
            yield Block(rows, record_numbers(first, len(rows)))
            first += len(rows)

    def count(self, source: Input) -> int | None:
        """Known for a folder of `save_to_disk`, which loads without preparing anything."""
        return len(_load(source)) if _is_saved(source.path) else None


def _load(source: Input) -> Dataset:
    import datasets

    datasets.disable_progress_bars()
    given = {"name": source.config, "split": source.split, "revision": source.revision}
    with _library(source):
        if _is_saved(source.path):
            _refuse(source, config=source.config, revision=source.revision)
            return _split(datasets.load_from_disk(str(source.path)), source, source.split)
        if source.path is not None:
            _refuse(source, revision=source.revision)
            return _split(datasets.load_dataset(str(source.path), **given), source, source.split)
        return _split(datasets.load_dataset(_name(source), **given), source, source.split)


def _split(loaded: Any, source: Input, split: str | None) -> Dataset:
    """The split asked for, or the only one. The library itself takes splits such as `train[:10%]` on loading."""
    import datasets

    if isinstance(loaded, datasets.Dataset):
        return loaded
    names = list(loaded)
    if split is None and len(names) == 1:
        return loaded[names[0]]
    if split not in loaded:
        found = "no split is named" if split is None else f"there is no split {split!r}{did_you_mean(split, names)}"
        raise SetwrightError(f"{source.name}: {found}", cure=f"set split to one of: {', '.join(names)}")
    return loaded[split]


def _refuse(source: Input, **given: str | None) -> None:
    for name, value in given.items():
        if value is not None:
            raise SetwrightError(f"{source.name}: {name} {value!r} has no meaning here", cure=f"leave {name} out")


def _is_saved(path: Path | None) -> bool:
    return path is not None and any((path / name).exists() for name in _SAVED)


def _folder_hashes(folder: Path, hash_file: HashFile) -> dict[str, str]:
    """Hashes by relative path, without hidden files and the library's own caches."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith((".", "cache-")))
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def _name(source: Input) -> str:
    return source.name.removeprefix("hf:")


@contextmanager
def _library(source: Input) -> Iterator[None]:
    """Turn the library's errors into one that names the source."""
    from datasets.exceptions import DatasetsError

    try:
        yield
    except (OSError, ValueError, DatasetsError, pa.ArrowException) as e:
        raise SetwrightError(
            f"{source.name} can't be loaded: {str(e).splitlines()[0]}",
            cure="check the name, config and revision, the network, and HF_TOKEN for a gated data set",
        ) from e


READER = HfReader()
