"""The rows, calls and tokens that each step takes, as spans that are to hold the truth.

    samples    rows and texts that a plan can look at
    rows       how many rows each step reads
    probe      what rows at hand still ask: the operator is run against the ledger
    asks       what a row asks by what its operator says
    history    what the same step took in its last build
    remaining  from rows that were tried to all rows
    rewards    the calls of a training's rewards

Where rows are at hand, the calls are counted. Where they are not, the last build of the same step tells what a row
takes, with the spread of its rows; and where there was none, the operator's own bounds do. Failed calls and rows that
can't be done are in none of it: they make the truth smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

import pyarrow as pa

from engine.ledger import Ledger
from engine.model import Backend
from engine.plan.estimate.asks import bounds_of, one_call, recorded, text_made
from engine.plan.estimate.history import History, history_of
from engine.plan.estimate.probe import probe
from engine.plan.estimate.remaining import remaining
from engine.plan.estimate.rewards import rewards_usage
from engine.plan.estimate.rows import Rows
from engine.plan.estimate.samples import Sample, Samples
from engine.plan.estimate.usage import Usage, may_hold_text, tokens_of
from engine.plan.spans import UNKNOWN, Span, total
from engine.plan.steps import Estimate, Planned, Status, Verb
from engine.spec.nodes import Spec
from engine.store import Store


def estimate(
    spec: Spec, store: Store, planned: Mapping[str, Planned], backends: Mapping[str, Backend], ledger: Ledger | None
) -> dict[str, Planned]:
    """The steps with their estimates."""
    known = Estimator(spec, store, planned, backends, ledger)
    return {name: replace(step, estimate=known.of(step)) for name, step in planned.items()}


class Estimator:
    """Estimates in the order of the steps, since rows flow down."""

    def __init__(
        self, spec: Spec, store: Store, planned: Mapping[str, Planned], backends: Mapping[str, Backend],
        ledger: Ledger | None,
    ) -> None:  # fmt: skip
        self._spec, self._planned, self._backends, self._ledger = spec, planned, backends, ledger
        self._samples = Samples(spec, store, planned)
        self._histories = cache(lambda name: history_of(store, ledger, spec.name, planned[name]))
        self._rows = Rows(spec, store, self._samples, self._history)
        self._made = cache(self._most_made)

    def of(self, step: Planned) -> Estimate:
        """Rows read, and calls and tokens that one step takes."""
        rows = self._rows.into(step)
        usage = Usage() if step.status in (Status.CACHED, Status.OFF) else self._usage(step, rows)
        if self._may_be_left_out(step):
            usage *= Span(0, 1)
        return Estimate(rows.whole(), usage.calls.whole(), usage.tokens_in.whole(), usage.tokens_out.whole())

    def _usage(self, step: Planned, rows: Span) -> Usage:
        if step.step.rewards:
            return rewards_usage(step.step, self._backends, rows)
        if step.step.operator is None or not recorded(step.step, self._backends):
            return Usage()
        sample = None if self._ledger is None else self._samples.rows_for(step)
        return self._unread(step, rows) if sample is None else self._read(step, rows, sample)

    def _read(self, step: Planned, rows: Span, sample: Sample) -> Usage:
        """Of rows that are at hand."""
        assert step.step.operator is not None
        assert self._ledger is not None
        sides = self._samples.sides_for(step)
        tried = probe(step, sample.table, sides, self._backends, self._ledger, self._spec.name, self._spec.seed)
        texts = self._texts(step)
        per_row = bounds_of(step.step, self._backends, texts)
        per_call = one_call(step.step, self._backends, texts)
        return remaining(
            tried, sample, rows, per_row, per_call, self._history(step), seeded=step.step.operator.seeded
        )  # fmt: skip

    def _unread(self, step: Planned, rows: Span) -> Usage:
        """Of rows that are not there yet; rows that the last build did may be among them."""
        assert step.step.operator is not None
        history = self._history(step)
        bounds = bounds_of(step.step, self._backends, self._texts(step))
        fresh = rows if history is None else Span(rows.less(history.rows).low, rows.high)
        if history is not None and history.has_calls:
            return history.usage(history.calls_of(fresh, bounds.calls) * fresh)
        if not step.step.operator.seeded:  # equal texts are asked once
            fresh = Span(0, fresh.high)
        return bounds * fresh

    def _may_be_left_out(self, step: Planned) -> bool:
        """Whether a stop rule that hasn't been asked may end the rounds before the step's."""
        asked = (s for s in self._planned.values() if s.step.verb is Verb.UNTIL and s.status is not Status.CACHED)
        return any((rule.step.round or 0) < (step.step.round or 0) for rule in asked)

    def _history(self, step: Planned) -> History | None:
        return self._histories(step.name)

    def _texts(self, step: Planned) -> Span:
        """The tokens of a row's own texts: of all columns that a step reads."""
        columns = step.columns
        return self._row(frozenset((columns.owners[name], name) for name in columns.reads.values()))

    def _row(self, columns: Iterable[tuple[str, str]]) -> Span:
        """The tokens of some columns in a row: measured, or else bounded by what their owner made them of.

        The bound is one for all columns of an owner together: a reply is cut into columns, not repeated in each.
        """
        found = {(owner, name): self._samples.tokens(owner, name) for owner, name in columns}
        made = {
            owner for (owner, name), span in found.items()
            if span.unknown and may_hold_text(self._planned[owner].columns.writes.get(name, pa.string()))
        }  # fmt: skip
        return total([*(span for span in found.values() if not span.unknown), *map(self._made, sorted(made))])

    def _most_made(self, owner: str) -> Span:
        """The tokens that a row of what a step wrote has at most."""
        step = self._planned[owner]
        match step.step.verb:
            case Verb.GENERATE | Verb.SCORE if step.step.operator is not None:
                return text_made(step.step, self._backends, self._texts(step))
            case Verb.SQL:
                return self._queried(step)
        return UNKNOWN

    def _queried(self, step: Planned) -> Span:
        """What a column of a query holds at most: a row of each table that it reads, and the query's own text.

        One that gathers many rows into one (`string_agg`, `list`) can hold more; no bound of that is known.
        """
        assert step.step.text is not None
        read = self._row(frozenset((owner, name.partition(".")[2]) for name, owner in step.columns.owners.items()))
        return Span(0, (read + tokens_of(step.step.text)).high)
