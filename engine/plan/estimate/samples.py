"""The rows and texts that a plan can look at: of built tables, of sources not built yet, of the last build.

Nothing is asked and nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
import pyarrow as pa

from engine import sourcing
from engine.errors import SetwrightError
from engine.needs import SideTable
from engine.plan.estimate.usage import tokens_in_all
from engine.plan.roots import root_rows
from engine.plan.spans import UNKNOWN, Span, mean_of
from engine.plan.steps import Planned, Status, Verb, relation_of
from engine.relation import Reader, Relation, inputs, renamed
from engine.spec.nodes import Spec
from engine.store import Store

SAMPLE_ROWS = 4_000
"""Rows that are looked at; of a larger table so many stand for all."""

TEXTS = 500
"""Values of a column that are measured."""


@dataclass(frozen=True)
class Sample:
    """Rows of a table under a step's own names: all of them, or evenly drawn ones, or (not `even`) the first ones."""

    table: pa.Table
    whole: bool
    even: bool


class Samples:
    """Looks at the tables of one plan."""

    def __init__(self, spec: Spec, store: Store, planned: Mapping[str, Planned]) -> None:
        self._spec, self._store, self._planned = spec, store, planned
        self._identities = {name: s.fingerprint for name, s in planned.items() if s.status is Status.CACHED}
        self._heads = cache(self._head)

    def rows_for(self, step: Planned) -> Sample | None:
        """The rows that a step reads, if they are at hand."""
        if not all(self._at_hand(self._planned[need]) for need in step.needs):
            return None
        source = self._planned[step.step.sources[0]]
        if step.step.begins:
            return Sample(root_rows(source.body), whole=True, even=True)
        if source.name in self._identities:
            found = self._reader(source.name).table(inputs(step.columns.reads))
            return _evenly(renamed(found, step.columns.reads))
        head = self._heads(source.name)
        if head is None:
            return None
        return Sample(renamed(head.table, step.columns.reads), head.whole, even=head.whole)

    def sides_for(self, step: Planned) -> dict[str, SideTable]:
        """The side tables of a step whose rows are at hand."""
        return {side: self._side(table, step.columns.sides[side].reads) for side, table in step.step.sides.items()}

    def source(self, name: str) -> Sample | None:
        """The first rows of a source that is not built, with all columns; None where it can't be read."""
        return self._heads(name)

    def tokens(self, owner: str, column: str) -> Span:
        """Bounds of the mean tokens in a column that a step wrote, over the rows to come."""
        table = self._planned[owner].step.table
        last = self._store.ref(self._spec.name, table)
        values: pa.ChunkedArray | None = None
        if table in self._identities and owner in self._identities:
            values = self._reader(table).head([column], TEXTS)[column]
        elif self._planned[owner].step.verb is Verb.SOURCE:
            head = self._heads(owner)
            values = None if head is None else head.table[column]
        elif last is not None and self._is_there(relation := Relation.from_json(last["relation"])):
            reader = Reader(self._store, relation)
            values = reader.head([column], TEXTS)[column] if column in reader.schema().names else None
        return UNKNOWN if values is None else _mean_tokens(values)

    def _is_there(self, relation: Relation) -> bool:
        """Whether all of a table of an earlier build is still in the store."""
        objects = (relation.fingerprint, *(fingerprint for _, fingerprint in relation.scores))
        whole = all(self._store.manifest(fingerprint) is not None for fingerprint in objects)
        return whole and (relation.parent is None or self._is_there(relation.parent))

    def _at_hand(self, step: Planned) -> bool:
        if step.name in self._identities or step.step.verb is Verb.ROOTS:
            return True
        return step.step.verb is Verb.SOURCE and step.status is not Status.OFF and self._heads(step.name) is not None

    def _side(self, table: str, reads: Mapping[str, str]) -> SideTable:
        if table in self._identities:
            return self._reader(table).whole(reads)
        head = self._heads(table)
        assert head is not None, "a step is tried where all that it needs is at hand"
        return SideTable(renamed(head.table, reads))

    def _reader(self, table: str) -> Reader:
        return Reader(self._store, relation_of(self._planned, self._identities, table))

    def _head(self, name: str) -> Sample | None:
        step, data = self._planned[name].step, self._planned[name].body["data"]
        assert isinstance(step.params, sourcing.SourceParams)
        assert step.text is not None
        source = sourcing.resolve(step.text, self._spec.file.parent)
        try:
            parts = list(islice(sourcing.read_once(source, step.params, part_rows=SAMPLE_ROWS), 2))
        except (SetwrightError, sourcing.Widened):  # the build will say so, or reads it twice
            return None
        table = parts[0].table
        limit = data.get("limit", table.num_rows)
        whole = len(parts) == 1 or limit < table.num_rows
        return Sample(table.slice(0, limit), whole, even=whole)


def _evenly(table: pa.Table) -> Sample:
    total = table.num_rows
    if total <= SAMPLE_ROWS:
        return Sample(table, whole=True, even=True)
    chosen = np.linspace(0, total - 1, SAMPLE_ROWS).astype(np.int64)
    return Sample(table.take(chosen), whole=False, even=True)


def _mean_tokens(values: pa.ChunkedArray) -> Span:
    found = [tokens_in_all((value,)) for value in values.slice(0, TEXTS).to_pylist()]
    low, high = (np.array([getattr(span, end) for span in found], float) for end in ("low", "high"))
    return Span(mean_of(low, None).low, mean_of(high, None).high) if found else UNKNOWN
