"""What the parts of the loader share: the names of a spec, and what can't be checked before all of it has been read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from engine.errors import Place, did_you_mean
from engine.model import Backend
from engine.names import bare, round_of
from engine.spec.composer import Keys
from engine.spec.loop import Loop
from engine.spec.problems import Problems
from engine.spec.values import quoted


@dataclass(frozen=True)
class Head:
    """What others need to know of a model: `use: openai` or `train: sft`, and the class of backend that serves it.

    Either is None where it is unknown. A trained model is served as its base is.
    """

    label: str | None
    backend: type[Backend] | None
    trained: bool = False


@dataclass(frozen=True)
class SqlText:
    """SQL of the spec and where it stands: a query of a table (or stop rule), or an expression among params."""

    path: Keys
    text: str
    table: str


@dataclass
class Scope:
    """The names of a spec, the problems so far, and the SQL and the edges of the graph as they are found.

    `edges` holds for each table, and for each trained model, what it stands on (tables, trained models) and where the
    spec says so.
    """

    problems: Problems
    models: dict[str, Head]
    tables: Collection[str]  # in the order of the spec
    loop: Loop = field(default_factory=Loop)
    edges: dict[str, dict[str, tuple[Keys, Place]]] = field(default_factory=dict)
    names: dict[str, dict[str, str | tuple[str, ...]]] = field(default_factory=dict)
    beside: dict[str, set[str]] = field(default_factory=dict)  # the edges of a node that are side tables alone
    queries: list[SqlText] = field(default_factory=list)
    test_queries: list[SqlText] = field(default_factory=list)
    expressions: list[SqlText] = field(default_factory=list)

    def reads(self, node: str, given: str | Sequence[str], path: Keys) -> None:
        """Note the tables that the spec names at `path`, one or a list, as edges of a node."""
        entries = [(path, given)] if isinstance(given, str) else [((*path, i), name) for i, name in enumerate(given)]
        edges = self.edges[node]
        for entry, name in entries:
            if name in edges:
                self.problems.add(entry, f"{name} stands in this list already")
            elif self.is_table(name, entry):
                edges[name] = (entry, self.problems.document.place(entry))

    def looks_at(self, node: str, table: str, path: Keys) -> None:
        """Note the side table that the spec names at `path`; it is an edge, and no table whose rows a node works on."""
        if self.is_table(table, path) and table not in self.edges[node]:
            self.edges[node][table] = (path, self.problems.document.place(path))
            self.beside.setdefault(node, set()).add(table)

    def asks(self, node: str, model: str, path: Keys) -> None:
        """Note the model that the spec names at `path`; it is an edge where it must be trained first."""
        if self.models[model].trained:
            self.edges[node].setdefault(model, (path, self.problems.document.place(path)))

    def tables_of(self, node: str) -> tuple[str, ...]:
        """The tables whose rows a node works on; side tables are none of them."""
        beside = self.beside.get(node, ())
        return tuple(name for name in self.edges[node] if name in self.tables and name not in beside)

    def is_model(self, name: str, path: Keys) -> bool:
        """Whether there is such a model; a problem at `path` where there isn't."""
        if name not in self.models:
            self.problems.add(path, self._unknown("model", name, self.models, self.tables, path))
        return name in self.models

    def is_table(self, name: str, path: Keys, place: Place | None = None) -> bool:
        """Whether there is such a table; a problem at `path`, or at a place within it, where there isn't."""
        if name not in self.tables:
            message = self._unknown("table", name, self.tables, self.models, path)
            self.problems.add(path, message, place=place)
        return name in self.tables

    def _unknown(self, kind: str, name: str, known: Collection[str], others: Collection[str], path: Keys) -> str:
        if name in others:
            return f"{quoted(name)} is a {'table' if kind == 'model' else 'model'}, not a {kind}"
        inside = len(path) > 1 and round_of(str(path[1])) is not None
        written = {bare(node) + ("@last" if "@" in node and not inside else "") for node in known}
        return f"unknown {kind} {quoted(name)}{did_you_mean(name, written)}"
