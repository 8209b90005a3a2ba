"""Identity: the digest of a payload's canonical JSON, and what differs between two payloads.

Only values of one stable form may enter. Paths, addresses, keys, workers, batch sizes and hardware never do; the
passes that build payloads (`plan`) never see them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import SetwrightError
from engine.schema import digest

Payload = Mapping[str, Any]


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no white space, floats by their shortest repr.

    Raises:
        SetwrightError: a value has no single stable form; the message names its path and the cure.
    """
    _check(value, "payload")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def fingerprint(payload: Payload) -> str:
    """32 hex characters (BLAKE2b-128) that stand for a payload."""
    return digest(canonical(payload), size=16)


def effective(planned: str, failed_rows: list[str]) -> str:
    """The identity of a result that lacks some rows because their model calls failed.

    It differs from the planned one, so that nothing built on the incomplete result is taken for the complete one.
    """
    return fingerprint({"planned": planned, "failed": sorted(failed_rows)}) if failed_rows else planned


@dataclass(frozen=True)
class Change:
    """One field in which two payloads differ; a side that lacks the field has `...`."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.old is ...:
            return f"{self.path} is new: {_short(self.new)}"
        if self.new is ...:
            return f"{self.path} is gone (was {_short(self.old)})"
        return f"{self.path}: {_short(self.old)} -> {_short(self.new)}"


def changes(old: Any, new: Any, path: str = "") -> Iterator[Change]:
    """The leaves in which two payloads differ, in the order of their paths."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from changes(old.get(key, ...), new.get(key, ...), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from changes(before, after, f"{path}[{i}]")
    elif old != new:
        yield Change(path, old, new)


def _check(value: Any, path: str) -> None:
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float) and math.isfinite(value):
        return
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check(item, f"{path}[{i}]")
    elif isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        for key, item in value.items():
            _check(item, f"{path}.{key}")
    else:
        raise SetwrightError(
            f"{path}: {value!r} ({type(value).__name__}) has no single stable form and can't enter a fingerprint",
            cure="use a finite number, a string, a boolean, a list, or a mapping with string keys",
        )


def _short(value: Any, width: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= width else text[: width - 3] + "..."
