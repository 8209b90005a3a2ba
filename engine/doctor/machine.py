"""Whether this machine and a home can build: versions, space, the lock, the ledger, half-finished objects.

Checks for `setwright doctor`. They change nothing; those of a spec's models are in `reach`.
"""

from __future__ import annotations

import platform
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from engine import __version__
from engine.errors import StoreError
from engine.store import Store

LOW_SPACE = 1 << 30  # bytes
DEVELOPMENT = "dev"
"""The extra that no user needs."""


@dataclass(frozen=True)
class Finding:
    """What one check found; where something is wrong, with a cure."""

    level: Literal["ok", "warn", "fail"]
    what: str
    detail: str
    cure: str | None = None


def check_machine() -> Iterator[Finding]:
    """Python, the platform, and the packages of the core and of each extra."""
    yield Finding("ok", "setwright", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    for extra, names in _packages().items():
        versions = {name: _version(name) for name in names}
        there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        absent = ", ".join(name for name, version in versions.items() if not version)
        if extra:
            said = "; ".join(filter(None, [there, f"not installed: {absent}" if absent else ""]))
            yield Finding("ok", f"extra {extra}", said)
        elif absent:
            yield Finding("fail", "packages", f"not installed: {absent}", "pip install --force-reinstall setwright")
        else:
            yield Finding("ok", "packages", there)


def check_home(home: Path) -> Iterator[Finding]:
    """Whether the home can be written, and whether what is in it is whole."""
    absolute = home.absolute()
    nearest = next(path for path in (absolute, *absolute.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as e:
        yield Finding(
            "fail", "home", f"{home} can't be written: {e.strerror}", "give permission, or name another --home"
        )
        return
    yield Finding("ok", "home", f"{home} can be written" + ("" if nearest == absolute else " (a build makes it)"))
    free = shutil.disk_usage(nearest).free
    if free < LOW_SPACE:
        yield Finding(
            "warn", "space", f"{free / 1e9:,.1f} GB free", "free some; `setwright clean` deletes old versions"
        )
    else:
        yield Finding("ok", "space", f"{free / 1e9:,.1f} GB free")
    if nearest == absolute:
        store = Store(home)
        yield _check_lock(store)
        yield _check_ledger(home / "ledger.sqlite")
        yield _check_objects(store)


def _packages() -> dict[str, list[str]]:
    """The packages that setwright asks for, by extra; those of the core under the empty name."""
    found: dict[str, list[str]] = {"": []}
    for requirement in metadata.requires("setwright") or ():
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra\s*==\s*['\"]([\w-]+)", requirement)
        if name and "sys_platform" not in requirement:
            found.setdefault(extra[1] if extra else "", []).append(name[0])
    found.pop(DEVELOPMENT, None)
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _check_lock(store: Store) -> Finding:
    try:
        with store.lock("setwright doctor", wait=False):
            return Finding("ok", "lock", "no build is running")
    except StoreError as e:
        return Finding("warn", "lock", e.message, "wait for it; reading is possible all the same")


def _check_ledger(path: Path) -> Finding:
    if not path.exists():
        return Finding("ok", "ledger", "no model call was made yet")
    try:
        with closing(sqlite3.connect(f"file:{path.absolute()}?mode=ro", uri=True)) as con:
            verdict = str(con.execute("PRAGMA quick_check(1)").fetchone()[0])
            calls = (
                con.execute("SELECT count(*) FROM calls WHERE error IS NULL").fetchone()[0] if verdict == "ok" else 0
            )
    except sqlite3.Error as e:
        verdict, calls = str(e), 0
    if verdict != "ok":
        cure = f"save what can be read by `sqlite3 {path} .recover`, and move the file away"
        return Finding("fail", "ledger", f"{path} is damaged: {verdict}", cure)
    return Finding("ok", "ledger", f"{calls:,} answered model calls")


def _check_objects(store: Store) -> Finding:
    objects = list(store.objects.iterdir()) if store.objects.exists() else []
    unfinished = [path for path in objects if not (path / "manifest.json").exists()]
    said = f"{len(objects) - len(unfinished):,} complete"
    if not unfinished:
        return Finding("ok", "objects", said)
    cure = "the next build goes on with them; `setwright clean --all` deletes those that are out of date"
    return Finding("warn", "objects", f"{said}, {len(unfinished):,} unfinished", cure)
