"""Where a node names other nodes: each name in its plain values is replaced by that of the node that it means.

SQL is none of them: its text stays as it is, and what its names mean is kept beside it (`graph`). Values of another
type than a name's are left alone; the reader of the node says what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.spec.composer import Keys
from engine.spec.loop import UnclearError
from engine.spec.problems import Problems
from engine.spec.values import BROKEN

Read = Callable[[Any, Keys], Any]


class References:
    """Replaces names by the nodes that `meaning` gives; a name that means nothing becomes a problem, and `BROKEN`."""

    def __init__(self, meaning: Callable[[str], str | None], problems: Problems) -> None:
        self._meaning = meaning
        self._problems = problems

    def of(self, kind: str, data: Any, path: Keys) -> Any:
        """A node of `models`, `tables` or `handoffs` with its names replaced."""
        match kind:
            case "tables":
                found = _each(self._asker(data, path), path, {"from": self._list})
                return _each(found, path, {"scores": self._askers})
            case "models":
                rewards = {"params": lambda params, at: _each(params, at, {"rewards": self._askers})}
                return _each(data, path, {"base": self._one, "data": self._list} | rewards)
            case _:
                return _each(data, path, {"base": self._one, "data": self._one})

    def keys(self, data: Any, path: Keys) -> Any:
        """A mapping whose keys are names; those that mean nothing are left out."""
        if not isinstance(data, dict):
            return data
        found = {key: self._maybe(key, (*path, key)) for key in data}
        return {found[key]: value for key, value in data.items() if found[key] is not BROKEN}

    def _asker(self, data: Any, path: Keys) -> Any:
        """What asks models and reads side tables: a table, a score, a reward."""
        return _each(data, path, {"model": self._one, "models": self._roles, "with": self._sides})

    def _askers(self, items: Any, path: Keys) -> Any:
        """A list of scores or rewards; of rewards only those that are scores name models of the spec."""
        if not isinstance(items, list):
            return items
        return [
            self._asker(item, (*path, i)) if isinstance(item, dict) and "use" not in item else item
            for i, item in enumerate(items)
        ]

    def _one(self, name: Any, path: Keys) -> Any:
        """A name that must mean something."""
        found = self._maybe(name, path)
        if found is None and name is not None:
            self._nothing(f"{name} is nothing in round 1", path)
            return BROKEN
        return found

    def _list(self, given: Any, path: Keys) -> Any:
        """A name, or a list of names that leaves out what is nothing; something must be left.

        Two names may come to mean one node, which is then read once; a name that stands there twice stays a mistake.
        """
        if not isinstance(given, list):
            return self._one(given, path)
        meant = [(name, self._maybe(name, (*path, i))) for i, name in enumerate(given)]
        first = {found: name for name, found in reversed(meant) if isinstance(found, str)}
        once = (found for name, found in meant if not isinstance(found, str) or first[found] == name)
        kept = [found for found in once if found is not None]
        if given and not kept:
            self._nothing("all of these are nothing in round 1", path)
            return BROKEN
        return kept

    def _roles(self, given: Any, path: Keys) -> Any:
        return _each(given, path, dict.fromkeys(given, self._one)) if isinstance(given, dict) else given

    def _sides(self, given: Any, path: Keys) -> Any:
        """Side tables but for those that are nothing."""
        if not isinstance(given, dict):
            return given
        found = {side: self._maybe(name, (*path, side)) for side, name in given.items()}
        return {side: name for side, name in found.items() if name is not None}

    def _maybe(self, name: Any, path: Keys) -> Any:
        """The node; None where the name means that there is nothing."""
        if not isinstance(name, str):
            return name
        try:
            return self._meaning(name)
        except UnclearError as e:
            self._problems.add(path, str(e))
            return BROKEN

    def _nothing(self, message: str, path: Keys) -> None:
        self._problems.add(path, f"{message}; name under rounds.first a node that stands in for it")


def _each(data: Any, path: Keys, reads: dict[str, Read]) -> Any:
    """A mapping with the values of some keys read anew."""
    if not isinstance(data, dict):
        return data
    return {key: reads[key](value, (*path, key)) if key in reads else value for key, value in data.items()}
