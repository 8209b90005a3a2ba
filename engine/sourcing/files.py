"""From a source's text in the spec to the inputs it means: which files, in which order, in which format.

A path or glob is relative to the spec's folder. `hf:NAME` is a data set of the hub; `hf:./folder` (or `../`, or an
absolute path) one on this machine.
"""

from __future__ import annotations

import difflib
import glob
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.errors import SetwrightError
from engine.operators.sources._reader import HashFile, Input, Reader
from engine.registry import operator_names
from engine.shapes import VERSION, Loose
from engine.sourcing.params import SourceParams

HF = "hf:"
_COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True)
class Source:
    """A source that exists: its text in the spec, and its files as (name to show, path); none for a hub data set."""

    text: str
    files: tuple[tuple[str, Path], ...]

    @property
    def is_hf(self) -> bool:
        """Whether the `datasets` library reads it."""
        return self.text.startswith(HF)


def resolve(source: str, base: Path) -> Source:
    """Find what a source names; `base` is the folder of the spec.

    Raises:
        SetwrightError: nothing is there; the cure names the nearest thing that is.
    """
    if source.startswith(HF):
        folder = source.removeprefix(HF)
        if not folder.startswith(("./", "../", "/")):
            return Source(source, ())
        if not (base / folder).is_dir():
            raise _missing(folder, base, "folder")
        return Source(source, ((source, base / folder),))
    if (base / source).is_file():
        return Source(source, ((source, base / source),))
    if (base / source).is_dir():
        raise SetwrightError(f"{source} is a folder", cure=f"name its files, as in {source.rstrip('/')}/*.jsonl")
    found = glob.glob(source, root_dir=base, recursive=True)  # noqa: PTH207  (names stay as the user wrote them)
    names = sorted(name for name in found if (base / name).is_file())
    if not names:
        raise _missing(source, base, "file")
    return Source(source, tuple((name, base / name) for name in names))


def inputs(source: Source, params: SourceParams) -> list[tuple[Reader, Input]]:
    """The inputs in their order, each with the reader of its format.

    Raises:
        SetwrightError: a file's format isn't known, or a parameter has no meaning for this source.
    """
    if source.is_hf:
        _refuse(source, "is for files", format=params.format, as_json=params.as_json)
        path = source.files[0][1] if source.files else None
        return [(readers()["hf"], Input(source.text, path, None, params.split, params.config, params.revision))]
    _refuse(source, "is for hf: sources", split=params.split, config=params.config, revision=params.revision)
    loosen = Loose(params.as_json, shaped=params.shape != "raw")
    found = [(readers()[format_of(name, params)], Input(name, path, loosen)) for name, path in source.files]
    if not any(reader.name in ("json", "jsonl") for reader, _ in found):
        _refuse(source, "is for files of JSON or JSONL", as_json=params.as_json)
    return found


def identity(source: Source, params: SourceParams, hash_file: HashFile) -> dict[str, Any]:
    """What decides the rows, as plain JSON values: contents and formats of the files in order, never their names.

    For a data set of the hub it is the commit that the revision stands for; in a folder of the `datasets` library
    names do count, because they name the splits.
    """
    found = [
        {"format": reader.name, "version": reader.version, **reader.identity(source_input, hash_file)}
        for reader, source_input in inputs(source, params)
    ]
    return {"inputs": found, "shapes": VERSION}


@cache
def readers() -> dict[str, Reader]:
    """Every format's reader by the name of its file."""
    return {name: import_module(f"engine.operators.sources.{name}").READER for name in operator_names("source")}


def format_of(name: str, params: SourceParams) -> str:
    """The format that the parameters or the ending of a file's name say."""
    if params.format is not None:
        return params.format
    bare = name.lower()
    for ending in _COMPRESSED:
        bare = bare.removesuffix(ending)
    for known, reader in readers().items():
        if bare.endswith(reader.suffixes):
            return known
    endings = sorted(ending for reader in readers().values() for ending in reader.suffixes)
    raise SetwrightError(
        f"{name}: the format can't be told from its ending",
        cure=f"set format in params, or use one of the endings {', '.join(endings)} (.gz or .zst may follow)",
    )


def _refuse(source: Source, why: str, **given: str | list[str] | None) -> None:
    """Raise for a parameter that is given and means nothing here."""
    for name, value in given.items():
        if value:
            raise SetwrightError(f"{source.text}: {name} {why}", cure=f"leave {name} out")


def _missing(text: str, base: Path, kind: str) -> SetwrightError:
    """The error for a path or glob that matches nothing, with the nearest name that exists."""
    parent = Path(text).parent
    while not (base / parent).is_dir():
        parent = parent.parent
    wanted = Path(text).relative_to(parent).parts[0]
    there = sorted(path.name for path in (base / parent).iterdir() if not path.name.startswith("."))
    near = difflib.get_close_matches(wanted, there, n=1, cutoff=0.5)
    hint = f"did you mean {(parent / near[0]).as_posix()!r}? " if near else ""
    matches = "matches no file" if glob.has_magic(text) else f"there is no such {kind}"
    return SetwrightError(f"{text}: {matches}", cure=f"{hint}Paths are relative to the spec's folder")
