"""What the parts of the loader share: the names of a spec, and what can't be checked before all of it has been read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from engine.errors import Place, did_you_mean
from engine.model import Backend
from engine.spec.composer import Keys
from engine.spec.problems import Problems
from engine.spec.values import quoted


@dataclass(frozen=True)
class Head:
    """What others need to know of a model: its `use:`, and its backend, None where that is unknown."""

    use: str | None
    backend: type[Backend] | None


@dataclass(frozen=True)
class SqlText:
    """SQL of the spec and where it stands: the query of a table, or an expression among an operator's params."""

    path: Keys
    text: str
    table: str


@dataclass
class Scope:
    """The names of a spec, the problems so far, and the SQL and the edges of the graph as they are found.

    `edges` holds for each table what it reads and where the spec says so.
    """

    problems: Problems
    models: dict[str, Head]
    tables: Collection[str]  # in the order of the spec
    edges: dict[str, dict[str, tuple[Keys, Place]]] = field(default_factory=dict)
    queries: list[SqlText] = field(default_factory=list)
    test_queries: list[SqlText] = field(default_factory=list)
    expressions: list[SqlText] = field(default_factory=list)

    def is_model(self, name: str, path: Keys) -> bool:
        """Whether there is such a model; a problem at `path` where there isn't."""
        if name not in self.models:
            self.problems.add(path, self._unknown("model", name, self.models, self.tables))
        return name in self.models

    def is_table(self, name: str, path: Keys, place: Place | None = None) -> bool:
        """Whether there is such a table; a problem at `path`, or at a place within it, where there isn't."""
        if name not in self.tables:
            message = self._unknown("table", name, self.tables, self.models)
            self.problems.add(path, message, place=place)
        return name in self.tables

    def _unknown(self, kind: str, name: str, known: Collection[str], others: Collection[str]) -> str:
        if name in others:
            return f"{quoted(name)} is a {'table' if kind == 'model' else 'model'}, not a {kind}"
        return f"unknown {kind} {quoted(name)}{did_you_mean(name, known)}"
