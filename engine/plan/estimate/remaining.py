"""From the rows that were tried to all rows: what the known missing calls take, and what may follow on them."""

from __future__ import annotations

import numpy as np

from engine.plan.estimate.history import History
from engine.plan.estimate.probe import Tried
from engine.plan.estimate.samples import Sample
from engine.plan.estimate.usage import Usage
from engine.plan.spans import LEAST, Span, exactly, mean_of, total

UNSEEN = 7
"""Of n rows drawn evenly none has what one in n / 7 has, once in a thousand times (exp(-7))."""


def remaining(
    tried: Tried, sample: Sample, rows: Span, per_row: Usage, per_call: Usage, history: History | None, seeded: bool
) -> Usage:
    """What is still to be sent.

    Args:
        tried: the trials of the sample's rows.
        sample: which rows these are.
        rows: the rows that there are in all.
        per_row: bounds of what a row takes from its first call on.
        per_call: bounds of what one call takes.
        history: the last build of the same step.
        seeded: whether every row draws for itself; else rows that are alike share their calls.
    """
    known = history if history is not None and history.has_calls else None
    found = _known(tried, known) + _following(tried, per_row, per_call, known, seeded)
    if sample.whole:
        return found
    n = sample.table.num_rows
    if sample.even:
        return _scaled(found, tried, n, rows, per_row, seeded)
    rest = rows.less(n) if seeded else Span(0, rows.less(n).high)
    return found + (known.usage(known.calls_of(rest, per_row.calls) * rest) if known else per_row * rest)


def _known(tried: Tried, history: History | None) -> Usage:
    """The calls that are known to be missing; the tokens of their requests by the characters, where that is known."""
    missing = list(tried.missing.values())
    calls = exactly(len(missing))
    if history is None or not missing:
        return Usage(calls, total(m.usage.tokens_in for m in missing), total(m.usage.tokens_out for m in missing))
    chars = exactly(sum(m.chars for m in missing))
    return Usage(
        calls,
        chars * mean_of(history.per_char, len(missing)),
        calls * mean_of(history.tokens_out, len(missing)),
    )


def _following(tried: Tried, per_row: Usage, per_call: Usage, history: History | None, seeded: bool) -> Usage:
    """The calls that rows will make once their missing ones are answered."""
    if tried.rows.keys() == {None}:  # a batch asks all that it asks at once
        return Usage()
    opened = tried.open()
    made = np.array([trial.made for trial in opened], float)
    low = np.maximum(per_row.calls.low - made, 0)
    if not seeded:  # of rows with the same missing calls, one goes on for all
        low = low[list({frozenset(t.missing): i for i, t in enumerate(opened)}.values())]
    high = None if per_row.calls.high is None else float(np.maximum(per_row.calls.high - made, 0).sum())
    calls = Span(float(low.sum()), high)
    if history is None:
        return per_call * calls
    usual = (mean_of(history.calls, len(opened)) * exactly(len(opened))).less(float(made.sum()))
    return history.usage(usual.within(calls))


def _scaled(found: Usage, tried: Tried, n: int, rows: Span, per_row: Usage, seeded: bool) -> Usage:
    """What evenly drawn rows take, for all rows: in proportion, with the spread of the calls from row to row.

    Rows that do not draw for themselves may be like one another, so that no more than the calls found are certain.
    """
    counts = tried.first_missing()
    mean = float(counts.mean()) if len(counts) else 0.0
    if mean == 0:
        return per_row * Span(0, None if rows.high is None else UNSEEN / n * rows.high)
    spread = mean_of(counts, rows.high) if len(counts) == n else Span(mean * (1 - LEAST), mean * (1 + LEAST))
    by = spread * exactly(1 / mean / n) * rows
    return found * (by if seeded else Span(1, by.high))
