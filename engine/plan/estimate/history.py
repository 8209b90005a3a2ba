"""What a step's last build tells of the next one: calls and tokens, rows that came of a row, rows that were kept.

It tells that only where nothing but the rows has changed since: a step with other parameters is another step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.ledger import Ledger
from engine.plan.estimate.usage import Usage
from engine.plan.prune import last_manifest
from engine.plan.spans import Span, mean_of
from engine.plan.steps import Planned, Verb
from engine.schema import PARENT_ID, ROW_ID
from engine.store import Manifest, Store

CALLS = 4_000
"""Calls of a build that are looked up; of more, so many stand for all."""


def _nothing() -> np.ndarray:
    return np.zeros(0)


@dataclass(frozen=True)
class History:
    """A build's figures, one of each row whose calls did not fail, or of each call that stands behind these rows."""

    rows: int
    made: np.ndarray  # of each row: the rows that came of it
    calls: np.ndarray = field(default_factory=_nothing)  # of each row
    shared: bool = False  # some rows were alike and had calls in common: how many more will be, nobody knows
    tokens_in: np.ndarray = field(default_factory=_nothing)  # of each call
    tokens_out: np.ndarray = field(default_factory=_nothing)
    per_char: np.ndarray = field(default_factory=_nothing)  # of each call: tokens in by characters of the request

    @property
    def has_calls(self) -> bool:
        """Whether the calls of its rows are known (those of a batch are not)."""
        return len(self.tokens_in) > 0

    def calls_of(self, rows: Span, bounds: Span) -> Span:
        """How many calls one of so many further rows makes, within bounds that are certain."""
        span = mean_of(self.calls, rows.high).within(bounds)
        return Span(0, span.high) if self.shared else span

    def usage(self, calls: Span) -> Usage:
        """What so many further calls take."""
        tokens = (calls * mean_of(each, calls.high) for each in (self.tokens_in, self.tokens_out))
        return Usage(calls, *tokens)


def history_of(store: Store, ledger: Ledger | None, spec: str, step: Planned) -> History | None:
    """The history of a step, if its last build was of the same step and did any row."""
    last = last_manifest(store, spec, step.name)
    if last is None or {k: v for k, v in last.payload.items() if k != "inputs"} != dict(step.body):
        return None
    rows = int(last.facts.get("rows_in") or 0) - int(last.facts.get("failed", 0))
    if rows < 1:
        return None
    plain = History(rows, _made(store, last, step.step.verb, rows))
    return plain if ledger is None or not step.step.models else _with_calls(plain, store, ledger, last, step)


def _made(store: Store, last: Manifest, verb: Verb, rows: int) -> np.ndarray:
    """How many rows came of each row; where no parents are told, they are spread evenly."""
    came = int(last.facts.get("selected", last.rows))
    if verb is Verb.GENERATE and came:
        parts = [store.read_part(last.fingerprint, i, [PARENT_ID]) for i in range(len(last.parts))]
        parents = pa.concat_tables(parts)[PARENT_ID].drop_null()
        counts = pc.value_counts(parents).field("counts").to_numpy(zero_copy_only=False)
        if 0 < len(counts) <= rows:
            return np.concatenate([counts.astype(float), np.zeros(rows - len(counts))])
    each, more = divmod(came, rows)
    return np.repeat([each + 1.0, float(each)], [more, rows - more])


def _with_calls(plain: History, store: Store, ledger: Ledger, last: Manifest, step: Planned) -> History:
    pairs = _pairs(store, last.fingerprint)
    if not pairs.num_rows:
        return plain
    by_row = pairs.group_by(ROW_ID).aggregate([("call_id", "min"), ("call_id", "count")])
    counts = by_row["call_id_count"].to_numpy().astype(float)
    if step.step.begins:  # the calls of a row without columns stand at each row that came of it
        counts = counts[np.unique(by_row["call_id_min"].to_numpy(zero_copy_only=False), return_index=True)[1]]
    counts = counts[: plain.rows]
    calls = np.concatenate([counts, np.zeros(plain.rows - len(counts))])
    distinct = pc.unique(pairs["call_id"])
    chosen = np.unique(np.linspace(0, len(distinct) - 1, CALLS).astype(np.int64))
    ids = (bytes.fromhex(id_) for id_ in distinct.take(chosen).to_pylist())
    tokens_in, tokens_out, chars = np.array(ledger.usage(ids), float).reshape(-1, 3).T
    return History(
        plain.rows, plain.made, calls, len(distinct) < counts.sum(), tokens_in, tokens_out, tokens_in / chars
    )  # fmt: skip


def _pairs(store: Store, fingerprint: str) -> pa.Table:
    """Rows and their calls, without the rows that a failed call broke off."""
    empty = pa.table({ROW_ID: pa.array([], pa.string()), "call_id": pa.array([], pa.string())})
    pairs = pa.concat_tables([empty, *map(pq.read_table, store.side_files(fingerprint, "calls"))])
    errors = [pq.read_table(file, columns=[ROW_ID, "transient"]) for file in store.side_files(fingerprint, "errors")]
    if not errors:
        return pairs
    broken = pa.concat_tables(errors)
    broken = broken.filter(broken["transient"])[ROW_ID]
    return pairs.filter(pc.invert(pc.is_in(pairs[ROW_ID], broken.combine_chunks())))
