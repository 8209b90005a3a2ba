"""The store: tables as Parquet parts under their fingerprint, and refs that give them names.

    objects/<fingerprint>/part-00000.parquet ...   the rows, in a cut fixed when they were first written
    objects/<fingerprint>/<side>-00000.parquet     what stands beside a part: errors, rejects, calls
    objects/<fingerprint>/model/                   the folder of a trained model
    objects/<fingerprint>/manifest.json            written last, by rename: its presence means complete
    training/<fingerprint>/                        where a training works, or a step that needs room beside its memory
    refs/<spec>/<name>.json                        a name's current relation (see `relation`)

An object never changes once it is complete. A part is complete when it has its name: it is written under another
and renamed. What an object means is not known here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from engine.errors import StoreError

PART_ROWS = 16_384
"""Rows of a part where a table is first cut (sources, SQL); every table derived row by row keeps its parent's cut."""


@dataclass(frozen=True)
class Manifest:
    """What is said about a complete object; `payload` is the very mapping that was hashed."""

    fingerprint: str
    payload: dict[str, Any]
    parts: tuple[int, ...]  # rows of each part
    columns: dict[str, str]  # Arrow types as text, for people; the Parquet schema is the truth
    facts: dict[str, Any]  # counts and times of the run that made it; never hashed

    @property
    def rows(self) -> int:
        """Rows over all parts."""
        return sum(self.parts)


class Store:
    """The objects and refs under one home directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.objects = home / "objects"
        self.refs = home / "refs"

    def folder(self, fingerprint: str) -> Path:
        """Where an object's files are."""
        return self.objects / fingerprint

    def model(self, fingerprint: str) -> Path:
        """Where the folder of a trained model is."""
        return self.folder(fingerprint) / "model"

    def workplace(self, fingerprint: str) -> Path:
        """Where a training keeps its data, checkpoints and results until they are an object."""
        return self.home / "training" / fingerprint

    def part_path(self, fingerprint: str, part: int, side: str = "part") -> Path:
        """A part's file, or that of one of its sides."""
        return self.folder(fingerprint) / f"{side}-{part:05d}.parquet"

    def has_part(self, fingerprint: str, part: int) -> bool:
        """Whether the part is complete."""
        return self.part_path(fingerprint, part).exists()

    def part_rows(self, fingerprint: str, part: int) -> int | None:
        """The rows of a complete part, or None."""
        path = self.part_path(fingerprint, part)
        return int(pq.read_metadata(path).num_rows) if path.exists() else None

    def manifest(self, fingerprint: str) -> Manifest | None:
        """The manifest if the object is complete, else None."""
        try:
            raw = json.loads((self.folder(fingerprint) / "manifest.json").read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as e:
            path = self.folder(fingerprint)
            raise StoreError(f"{path}/manifest.json can't be read: {e}", cure=f"delete {path} and build again") from e
        return Manifest(raw["fingerprint"], raw["payload"], tuple(raw["parts"]), raw["columns"], raw["facts"])

    def parts_done(self, fingerprint: str) -> int:
        """How many parts of an object exist, complete or not."""
        return len(self.side_files(fingerprint, "part"))

    def side_files(self, fingerprint: str, side: str) -> list[Path]:
        """All files of a side (or `part`) in the order of the parts."""
        return sorted(self.folder(fingerprint).glob(f"{side}-*.parquet"))

    def write_part(self, fingerprint: str, part: int, table: pa.Table, side: str = "part") -> None:
        """Write one part; it appears whole or not at all."""
        path = self.part_path(fingerprint, part, side)
        with self.guard("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            pq.write_table(table, temporary, compression="zstd", compression_level=1)
            temporary.rename(path)

    def read_part(self, fingerprint: str, part: int, columns: Sequence[str] | None = None) -> pa.Table:
        """One part's columns, as one Arrow table."""
        path = self.part_path(fingerprint, part)
        with self.guard("read", path):
            return pq.read_table(path, columns=None if columns is None else list(columns), partitioning=None)

    def complete(self, manifest: Manifest) -> None:
        """Write the manifest: the object is complete from now on."""
        path = self.folder(manifest.fingerprint) / "manifest.json"
        document = {
            "fingerprint": manifest.fingerprint, "payload": manifest.payload, "parts": manifest.parts,
            "columns": manifest.columns, "facts": manifest.facts,
        }  # fmt: skip
        with self.guard("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(document, indent=1, ensure_ascii=False).encode())

    def link_model(self, fingerprint: str, folder: Path) -> None:
        """Give the object a trained model's folder (hard links: no bytes are copied)."""
        target = self.model(fingerprint)
        with self.guard("write", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(folder, target, copy_function=os.link)

    def clear_workplace(self, fingerprint: str) -> None:
        """Delete what a training left behind, once its model is an object."""
        shutil.rmtree(self.workplace(fingerprint), ignore_errors=True)

    def link_parts(self, source: str, target: str) -> None:
        """Give the target every finished part of the source (hard links: no bytes are copied)."""
        folder = self.folder(target)
        with self.guard("write", folder):
            folder.mkdir(parents=True, exist_ok=True)
            for path in self.folder(source).glob("*-*.parquet"):
                if not (folder / path.name).exists():
                    os.link(path, folder / path.name)

    def set_ref(self, spec: str, name: str, value: dict[str, Any]) -> None:
        """Point a name to its current relation."""
        path = self.refs / spec / f"{name}.json"
        text = json.dumps(value, indent=1, sort_keys=True).encode()
        with self.guard("write", path):
            if not (path.exists() and path.read_bytes() == text):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, text)

    def ref(self, spec: str, name: str) -> dict[str, Any] | None:
        """A name's current relation as it was stored, or None."""
        path = self.refs / spec / f"{name}.json"
        return json.loads(path.read_bytes()) if path.exists() else None

    def ref_names(self, spec: str) -> list[str]:
        """All names of a spec that point to something."""
        return sorted(p.name.removesuffix(".json") for p in (self.refs / spec).glob("*.json"))

    def drop_refs(self, spec: str, keep: set[str]) -> None:
        """Forget the names that a spec no longer has; their objects stay until `clean`."""
        for name in self.ref_names(spec):
            if name not in keep:
                (self.refs / spec / f"{name}.json").unlink(missing_ok=True)

    def spec_names(self) -> list[str]:
        """All specs that have refs here."""
        return sorted(p.name for p in self.refs.iterdir() if p.is_dir()) if self.refs.exists() else []

    def remove(self, fingerprint: str) -> int:
        """Delete an object if it is there; the bytes that this frees."""
        folder = self.folder(fingerprint)
        if not folder.exists():
            return 0
        (folder / "manifest.json").unlink(missing_ok=True)  # first: an object without parts must not look complete
        freed = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and f.stat().st_nlink == 1)
        shutil.rmtree(folder)
        return freed

    @contextmanager
    def lock(self, owner: str, wait: bool) -> Iterator[None]:
        """Hold the home for one build.

        Raises:
            StoreError: another build holds it and `wait` is false; the message says which.
        """
        with self.guard("write", self.home):
            self.home.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.home / "lock", timeout=-1 if wait else 0)
            holder = self.home / "lock.holder"
            try:
                lock.acquire()
            except Timeout:
                who = holder.read_text() if holder.exists() else "another process"
                raise StoreError(f"{self.home} is held by {who}", cure="wait for it, or build with --wait") from None
            holder.write_text(f"{owner} (process {os.getpid()})")
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def guard(self, doing: str, path: Path) -> Iterator[None]:
        """Turn the operating system's refusals into a `StoreError` that names the file and the cure."""
        try:
            yield
        except OSError as e:
            raise StoreError(
                f"can't {doing} {path}: {e.strerror or e}",
                cure="free space or give permission, and run the same command again: finished parts and calls are kept",
            ) from e


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file so that it appears whole or not at all, also after a crash of the machine."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    temporary.rename(path)
