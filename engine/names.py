"""How the nodes of rounds are called: `kept@2` is what `kept` is in round 2, `kept@2.length` a score of it.

Names alone are dealt with here; which rounds there are, a spec says (`spec.rounds`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

ROUND = "round"
"""The column that a table has where all of its rounds are read as one."""

STOP_RULE = "rounds.until"
"""`rounds.until@2` is the step that asks the stop rule after round 2."""

_OF_ROUND = re.compile(r"(?P<bare>[^@]+)@(?P<round>\d+)(?P<step>\..+)?")


def round_of(name: str) -> int | None:
    """The round of a node or step; None where it stands outside of rounds."""
    match = _OF_ROUND.fullmatch(name)
    return None if match is None else int(match["round"])


def bare(name: str) -> str:
    """A node's name as the spec writes it: `kept` for `kept@2`."""
    return name.partition("@")[0]


def in_rounds(names: Iterable[str]) -> dict[str, dict[int, str]]:
    """Of the names of nodes those of rounds: `kept` -> 1 -> `kept@1`, in the order of the rounds."""
    found: dict[str, dict[int, str]] = {}
    for name in names:
        number = round_of(name)
        if number is not None and "." not in name:
            found.setdefault(bare(name), {})[number] = name
    return {name: dict(sorted(rounds.items())) for name, rounds in found.items()}


def last_of(name: str, names: Iterable[str]) -> str:
    """The node that `kept@last` means among the names of nodes; any other name is what it says."""
    if not name.endswith("@last"):
        return name
    rounds = in_rounds(names).get(bare(name), {})
    return next(reversed(rounds.values()), name)


def all_rounds(rounds: Iterable[tuple[int, str]]) -> str:
    """The SQL of several rounds as one table with a first column `round`, from the number and the query of each."""
    return " UNION ALL BY NAME ".join(f"SELECT {number} AS {ROUND}, * FROM ({query})" for number, query in rounds)
