"""Content hashes of source files, remembered by path, size and time of change: an unchanged file is never read."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from engine.store import write_atomically

CHUNK = 1 << 20


class FileHashes:
    """BLAKE2b-128 of files' contents; `save` keeps what was computed under the home."""

    def __init__(self, home: Path) -> None:
        self._path = home / "hashes.json"
        self._changed = False
        try:
            self._known: dict[str, list[int | str]] = json.loads(self._path.read_bytes())
        except (OSError, ValueError):  # a missing or broken cache costs time, nothing else
            self._known = {}

    def __call__(self, path: Path) -> str:
        """The file's hash, in hex."""
        key, stat = str(path.resolve()), path.stat()
        known = self._known.get(key)
        if known is None or known[:2] != [stat.st_size, stat.st_mtime_ns]:
            known = self._known[key] = [stat.st_size, stat.st_mtime_ns, hash_file(path)]
            self._changed = True
        return str(known[2])

    def save(self) -> None:
        """Write what is new; a home that can't be written is no error here."""
        if self._changed:
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(self._path, json.dumps(self._known).encode())
                self._changed = False


def hash_file(path: Path) -> str:
    """BLAKE2b-128 of a file's bytes, in hex."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as f:
        while chunk := f.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
