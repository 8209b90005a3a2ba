"""What the names of rounds mean: `kept`, `kept@previous`, `kept@last`, `kept@2`, inside of the rounds and outside.

A loop says which node a name stands for; where names stand in a spec, and that there is such a node, is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.errors import did_you_mean
from engine.names import STOP_RULE, bare, round_of
from engine.spec.values import quoted

Meaning = str | tuple[str, ...] | None
"""A node; in SQL also the nodes of all rounds in their order; None where `first` says that there is nothing."""


class UnclearError(Exception):
    """A name that means nothing where it stands; the message says why."""


@dataclass(frozen=True)
class Loop:
    """The rounds of a spec. `built` of the `count` rounds are there: fewer where the stop rule has ended them."""

    count: int = 0
    built: int = 0
    models: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    first: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All that repeats."""
        return self.models + self.tables

    def inside(self, name: str, number: int) -> str | None:
        """What a name means in a round.

        Raises:
            UnclearError: it means nothing there.
        """
        base, at, which = name.partition("@")
        if base not in self.names:
            if at:
                raise self._no_rounds(base)
            return name
        if not at:
            return f"{base}@{number}"
        if which != "previous":
            raise UnclearError(f"inside rounds, write {base} for this round's and {base}@previous for the last round's")
        if number > 1:
            return f"{base}@{number - 1}"
        if base not in self.first:
            raise UnclearError(f"round 1 has no previous {base}; say under rounds.first what stands in for it, or null")
        return self.first[base]

    def outside(self, name: str) -> str:
        """What a name means outside of the rounds; those that were not built are as the last one that was.

        Raises:
            UnclearError: it means nothing there.
        """
        base, at, which = name.partition("@")
        if base not in self.names:
            if at:
                raise self._no_rounds(base)
            return name
        if not at:
            raise UnclearError(f"{base} repeats in rounds; name one of them: {base}@last, or {base}@1 for the first")
        if which == "last":
            return f"{base}@{self.built}"
        if which == "previous":
            raise UnclearError(f"{name} has a meaning inside rounds only; here, name {base}@last or {base}@1")
        if which.isdecimal() and 1 <= int(which) <= self.count and which == str(int(which)):
            return f"{base}@{min(int(which), self.built)}"
        hint = did_you_mean(name, [f"{base}@{i}" for i in range(1, self.count + 1)] + [f"{base}@last"])
        raise UnclearError(f"{base} has no round {quoted(which)}{hint}")

    def in_query(self, name: str, reader: str) -> Meaning:
        """What a table's name means in the SQL of a node; outside, the bare name means all rounds.

        Raises:
            UnclearError: it means nothing there.
        """
        number = round_of(reader)
        if number is None:
            if name in self.tables:
                return tuple(f"{name}@{i}" for i in range(1, self.built + 1))
            return self.outside(name)
        if bare(reader) != STOP_RULE:
            return self.inside(name, number)
        if name in self.tables:
            return tuple(f"{name}@{i}" for i in range(1, number + 1))
        if "@" in name:
            raise UnclearError(f"here, {bare(name)} has all rounds so far, and a column `round` to tell them apart")
        return name

    def _no_rounds(self, name: str) -> UnclearError:
        return UnclearError(f"{quoted(name)} does not repeat in rounds{did_you_mean(name, self.names)}")
