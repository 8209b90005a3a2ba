"""The shipped SQL: one query a file under `sql/`, its purpose in the comment on its first line."""

from __future__ import annotations

from dataclasses import dataclass

from engine.assets import folder
from engine.errors import SetwrightError, did_you_mean


@dataclass(frozen=True)
class Query:
    """A shipped query."""

    name: str
    purpose: str
    text: str


def shipped_queries() -> list[Query]:
    """All shipped queries, by name."""
    found = []
    for path in sorted(folder("sql").glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        found.append(Query(path.stem, text.splitlines()[0].removeprefix("--").strip(), text.rstrip().rstrip(";")))
    return found


def find_query(given: str) -> str:
    """SQL as it is given, or the text of the shipped query of that name.

    Raises:
        SetwrightError: a single word that names no query.
    """
    if not given.replace("_", "").isalnum():
        return given
    queries = {query.name: query.text for query in shipped_queries()}
    if given not in queries:
        raise SetwrightError(
            f"no shipped query {given!r}{did_you_mean(given, queries)}", cure="see `setwright sql --list`"
        )
    return queries[given]
