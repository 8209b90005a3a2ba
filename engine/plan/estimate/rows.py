"""How many rows each step reads, as spans that flow down the plan."""

from __future__ import annotations

from collections.abc import Callable

from engine import sourcing
from engine.plan.estimate.history import History
from engine.plan.estimate.samples import Samples
from engine.plan.spans import UNKNOWN, Span, exactly, mean_of, total
from engine.plan.sql import filters, multiplies
from engine.plan.steps import Planned, Verb
from engine.spec.nodes import Spec
from engine.store import Store

GOOD = 0.9
"""Share of a source's records that are taken to be good at least, where they are counted and not read."""


class Rows:
    """Rows of the steps in their order; `into` must be asked for each before the steps that read it."""

    def __init__(
        self, spec: Spec, store: Store, samples: Samples, history: Callable[[Planned], History | None]
    ) -> None:
        self._spec, self._store, self._samples, self._history = spec, store, samples, history
        self._out: dict[str, Span] = {}

    def into(self, step: Planned) -> Span:
        """The rows that a step reads."""
        match step.step.verb:
            case Verb.ROOTS:
                rows = exactly(int(step.body["rows"]))
            case Verb.SOURCE:
                rows = self._source(step)
            case _:
                rows = total(self._out[table] for table in step.step.sources)
        if step.name == step.step.table:
            self._out[step.name] = self._made(step, rows).whole()
        return rows

    def _source(self, step: Planned) -> Span:
        manifest = self._store.manifest(step.fingerprint)
        if manifest is not None:
            return exactly(manifest.rows)
        head = self._samples.source(step.name)
        if head is not None and head.whole:
            return exactly(head.table.num_rows)
        assert step.step.text is not None
        assert isinstance(step.step.params, sourcing.SourceParams)
        counted = sourcing.count(sourcing.resolve(step.step.text, self._spec.file.parent), step.step.params)
        seen = 0 if head is None else head.table.num_rows
        found = Span(seen if counted is None else max(seen, GOOD * counted), counted)
        limit = step.body["data"].get("limit")
        return found if limit is None else found.up_to(exactly(limit))

    def _made(self, step: Planned, rows: Span) -> Span:
        """The rows that a table will have."""
        manifest = self._store.manifest(step.fingerprint)
        if manifest is not None:
            return exactly(int(manifest.facts.get("selected", manifest.rows)))
        match step.step.verb:
            case Verb.SOURCE | Verb.UNION | Verb.ROOTS:
                return rows
            case Verb.GENERATE:
                return self._came(step, rows).within(_given(step, rows))
            case Verb.SELECT:
                return self._kept(step, rows)
            case Verb.SQL:
                return self._queried(step, rows)
        return UNKNOWN

    def _came(self, step: Planned, rows: Span) -> Span:
        history = self._history(step)
        return UNKNOWN if history is None else rows * mean_of(history.made, rows.high)

    def _kept(self, step: Planned, rows: Span) -> Span:
        """A selection's rows: by its parameters, since rows displace each other; else the share that it kept."""
        assert step.step.operator is not None
        given = _given(step, rows)
        return given if step.step.operator.gives is not None else self._came(step, rows).within(given)

    def _queried(self, step: Planned, rows: Span) -> Span:
        """A query's rows: a share of its table's where it picks rows, or else as many as it reads at most."""
        assert step.step.text is not None
        if filters(step.step.text):
            return self._came(step, rows).within(Span(0, rows.high))
        if multiplies(step.step.text):
            return UNKNOWN if multiplies(step.step.text, joins=False) else self._joined(step)
        return Span(0, None if rows.high is None else max(rows.high, 1))

    def _joined(self, step: Planned) -> Span:
        """A join's rows: those of its only table with more than one row; of several such tables nothing is known."""
        highs = [self._out[table].high for table in step.step.sources]
        several = [high for high in highs if high is None or high > 1]
        return UNKNOWN if len(several) > 1 else Span(0, several[0] if several else 1)


def _given(step: Planned, rows: Span) -> Span:
    """The bounds that the operator knows by its parameters; a selection never has more rows than its table."""
    operator, params = step.step.operator, step.step.params
    assert operator is not None
    if operator.gives is None:
        return Span(0, rows.high) if step.step.verb is Verb.SELECT else UNKNOWN
    low = operator.gives(params, int(rows.low))[0]
    return Span(low, None if rows.high is None else operator.gives(params, int(rows.high))[1])
