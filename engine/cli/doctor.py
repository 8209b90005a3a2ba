"""`setwright doctor`: whether this machine and home can build, and whether a spec's models can be reached.

A check yields what it found, with a cure where something is wrong. Values of variables and keys are never shown.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import platform
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import click

from engine.cli.options import home_option, json_option
from engine.cli.text import echo_json
from engine.errors import ExitCode, SetwrightError

if TYPE_CHECKING:
    from engine.spec.nodes import ModelNode, Spec

LOW_SPACE = 1 << 30
TIMEOUT_S = 5
IN_PROCESS = {"transformers": ("torch", "transformers"), "vllm": ("vllm",)}
"""The packages that a backend runs the model with; they come with an extra."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: Literal["ok", "warn", "fail"]
    what: str
    detail: str
    cure: str | None = None


@click.command()
@click.argument("spec", type=click.Path(path_type=Path, dir_okay=False), required=False)
@home_option
@json_option
def command(spec: Path | None, home: Path, as_json: bool) -> None:
    """Check this machine, the home and, with SPEC, that its models are there. Exits with 1 if a check fails."""
    found = [*_machine(), *_home(home)]
    if spec is not None:
        found += _spec(spec)
    if as_json:
        echo_json([dataclasses.asdict(finding) for finding in found])
    else:
        click.echo("\n".join(_line(finding) for finding in found))
    sys.exit(ExitCode.FAILURES if any(finding.level == "fail" for finding in found) else ExitCode.DONE)


def _line(finding: Finding) -> str:
    cure = f"\n      cure: {finding.cure}" if finding.cure else ""
    return f"{finding.level:<4}  {finding.what}: {finding.detail}{cure}"


def _machine() -> Iterator[Finding]:
    from engine import __version__

    yield Finding("ok", "setwright", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    for extra, names in _packages().items():
        versions = {name: _version(name) for name in names}
        there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        absent = ", ".join(name for name, version in versions.items() if not version)
        if not extra and absent:
            yield Finding("fail", "packages", f"missing: {absent}", "install setwright again with pip")
        elif not extra:
            yield Finding("ok", "packages", there)
        elif absent:
            yield Finding("ok", f"extra {extra}", f"not installed: {absent}" + (f"; there: {there}" if there else ""))
        else:
            yield Finding("ok", f"extra {extra}", there)


def _packages() -> dict[str, list[str]]:
    """The packages that setwright asks for, by extra; those of the core under ""."""
    found: dict[str, list[str]] = {"": []}
    for requirement in metadata.requires("setwright") or []:
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", requirement)
        name = re.match(r"[\w.-]+", requirement)
        if name is not None and not (extra and extra[1] == "dev") and "sys_platform" not in requirement:
            found.setdefault(extra[1] if extra else "", []).append(name[0])
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _home(home: Path) -> Iterator[Finding]:
    from engine.store import Store

    nearest = next(p for p in (home.absolute(), *home.absolute().parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as e:
        yield Finding("fail", "home", f"{home} can't be written: {e.strerror}", "give permission, or name another --home")
        return
    yield Finding("ok", "home", f"{home} {'is there' if nearest == home.absolute() else 'will be made'} and can be written")
    free = shutil.disk_usage(nearest).free
    low = free < LOW_SPACE
    yield Finding(
        "warn" if low else "ok", "space", f"{free / 2**30:,.1f} GiB free", "free some, or run `setwright clean`" if low else None
    )
    if home.exists():
        store = Store(home)
        yield from _lock(store)
        yield from _ledger(home / "ledger.sqlite")
        yield from _objects(store)
