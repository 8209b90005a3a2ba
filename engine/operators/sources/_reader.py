"""What a format offers to the engine, and how the bytes of a file are opened.

A format is one file of this folder with one `READER`. It knows files and Arrow tables, and nothing of shapes, of row
identities, or of what happens to a bad record.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa

from engine.errors import BadRecord, SetwrightError

BATCH_ROWS = 8192
"""Rows of a block where a format is cut by rows."""
BLOCK_BYTES = 8 << 20
"""Bytes of a block where a format is cut by bytes; a longer record makes a longer block."""
TEXT_LIMIT = 2000
"""Characters of a bad record that are kept."""

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


HashFile = Callable[[Path], str]
"""The hash of a file's content, in hex."""


class Loosen(Protocol):
    """Brings values that have no fixed type in JSON to one before Arrow types them (see `engine.shapes.loose`)."""

    def concerns(self, schema: pa.Schema) -> bool:
        """Whether a block with these types may hold such values."""
        ...

    def apply(self, record: dict[str, Any]) -> bool:
        """Change a record in place; whether anything was changed."""
        ...


@dataclass(frozen=True)
class Input:
    """One thing to read, and what the spec says about reading it: a file, a folder, or a data set of the hub."""

    name: str  # as the user knows it, for messages
    path: Path | None = None  # None for the hub
    loosen: Loosen | None = None  # for the formats of JSON
    split: str | None = None  # these three for hf alone
    config: str | None = None
    revision: str | None = None

    @property
    def file(self) -> Path:
        """The path of an input that has one."""
        assert self.path is not None, f"{self.name} is not a file"
        return self.path


@dataclass(frozen=True)
class Block:
    """Some rows of an input in their order, and the bad records found between them."""

    table: pa.Table
    records: np.ndarray  # int64: the record number of each row, from 1 within its file
    bad: tuple[BadRecord, ...] = ()


class Widened(Exception):
    """A record holds what the columns of the records before it can't: they have to be found out from all records."""


class Reader(ABC):
    """A format. What reads streams blocks in bounded memory, and raises `SetwrightError` for a file it can't read."""

    version: ClassVar[int]
    """Counts up when the same bytes give other rows; part of a source's identity."""
    suffixes: ClassVar[tuple[str, ...]]
    """The endings of its files, without those of compression."""

    @property
    def name(self) -> str:
        """The format's name, which is its file's."""
        return type(self).__module__.rpartition(".")[2]

    def identity(self, source: Input, hash_file: HashFile) -> dict[str, Any]:
        """What decides the records of an input, as plain JSON values; never its name."""
        return {"content": hash_file(source.file)}

    @abstractmethod
    def scan(self, source: Input, known: pa.Schema) -> Iterator[pa.Schema]:
        """The columns known so far, after each block, starting from those of the inputs before this one."""

    @abstractmethod
    def read(self, source: Input, schema: pa.Schema) -> Iterator[Block]:
        """All records, as tables of exactly this schema: the last one that `scan` gave, or a wider one."""

    def try_once(self, source: Input, known: pa.Schema) -> Iterator[Block] | None:  # noqa: ARG002
        """All records with the columns that some first records have, for a format that must parse to know its types.

        None for a format whose `scan` is cheap.

        Raises:
            Widened: (while it goes) the columns were wider.
        """
        return None

    def count(self, source: Input) -> int | None:  # noqa: ARG002  (a format that would have to parse the file)
        """The number of records where it is cheap to know."""
        return None


def compression(path: Path) -> str | None:
    """`gzip`, `zstd` or None, told by the first bytes: a misleading name does no harm."""
    with path.open("rb") as f:
        head = f.read(4)
    return next((codec for magic, codec in _MAGIC.items() if head.startswith(magic)), None)


def open_bytes(path: Path) -> pa.NativeFile:
    """The decompressed bytes of a file, to be read in turn."""
    return pa.input_stream(str(path), compression=compression(path))


@contextmanager
def readable(source: Input, cure: str = "mend or fetch the file again") -> Iterator[None]:
    """Turn the refusals of the operating system, of Arrow and of decompression into an error that names the file."""
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError) as e:
        reason = (e.strerror if isinstance(e, OSError) else None) or str(e).splitlines()[0]
        raise SetwrightError(f"{source.name} can't be read: {reason}", cure=cure) from e


def record_numbers(first: int, rows: int) -> np.ndarray:
    """Consecutive record numbers."""
    return np.arange(first, first + rows, dtype=np.int64)
