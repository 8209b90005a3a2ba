"""How many rows each step reads and how many model calls it makes.

Where the rows are there, the operator itself is run against the ledger with a model that answers what was answered
before and counts the rest, so that the plan and the build can't differ. Where they are not, the figure comes from the
last build and is marked as a guess.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from engine import sourcing
from engine.bound import BoundModel
from engine.calls import Asker, Gate
from engine.context import StepContext
from engine.errors import SetwrightError
from engine.ledger import Ledger
from engine.model import Backend
from engine.needs import SideTable
from engine.operator import Operator
from engine.plan.prune import last_manifest
from engine.plan.roots import root_rows
from engine.plan.steps import Estimate, Planned, Status, Step, Verb, relation_of
from engine.relation import Reader, inputs, renamed
from engine.request import Answer, Embed, Request
from engine.schema import ROW_ID
from engine.spec.nodes import Spec
from engine.store import Manifest, Store
from engine.wire import render

PROBE_ROWS = 4_000
"""Rows that are tried against the ledger; of a larger table a sample of this size stands for all."""


def estimate(
    spec: Spec, store: Store, planned: Mapping[str, Planned], backends: Mapping[str, Backend], ledger: Ledger | None
) -> dict[str, Planned]:
    """The steps with their estimates."""
    known = Estimator(spec, store, planned, backends, ledger)
    return {name: replace(step, estimate=known.of(step)) for name, step in planned.items()}


class Estimator:
    """Estimates in the order of the steps, since rows flow down."""

    def __init__(
        self,
        spec: Spec,
        store: Store,
        planned: Mapping[str, Planned],
        backends: Mapping[str, Backend],
        ledger: Ledger | None,
    ) -> None:
        self._spec, self._store, self._planned, self._backends, self._ledger = spec, store, planned, backends, ledger
        self._rows: dict[str, tuple[int | None, bool]] = {}  # rows that a table will have, and whether that is exact

    def of(self, step: Planned) -> Estimate:
        """Rows read and calls made by one step."""
        rows, exact = self._rows_in(step)
        if step.name == step.step.table:
            self._rows[step.name] = self._rows_out(step, rows, exact)
        if step.status in (Status.CACHED, Status.OFF):
            return Estimate(rows, 0, exact=True)
        return self._calls(step, rows, exact)

    def _rows_in(self, step: Planned) -> tuple[int | None, bool]:
        found = [self._rows[table] for table in step.step.sources]
        if step.step.verb is Verb.ROOTS:
            return int(step.body["rows"]), True
        if step.step.verb is Verb.SOURCE:
            return self._source_rows(step)
        if any(rows is None for rows, _ in found):
            return None, False
        return sum(rows or 0 for rows, _ in found), all(exact for _, exact in found)

    def _source_rows(self, step: Planned) -> tuple[int | None, bool]:
        manifest = self._store.manifest(step.fingerprint)
        if manifest is not None:
            return manifest.rows, True
        assert step.step.text is not None
        rows = sourcing.count(sourcing.resolve(step.step.text, self._spec.file.parent))
        limit = step.body["data"].get("limit")
        return (rows if rows is None or limit is None else min(rows, limit)), False

    def _rows_out(self, step: Planned, rows: int | None, exact: bool) -> tuple[int | None, bool]:
        manifest = self._store.manifest(step.fingerprint)
        if manifest is not None:
            return int(manifest.facts.get("selected", manifest.rows)), True
        match step.step.verb:
            case Verb.SOURCE | Verb.UNION | Verb.ROOTS:
                return rows, exact
            case Verb.GENERATE if step.step.begins:
                return rows, False
            case Verb.GENERATE if rows is not None and step.step.operator is not None:
                return rows * _usual_calls(step.step.operator, step.step.params), False
            case Verb.SELECT:
                last = last_manifest(self._store, self._spec.name, step.name)
                return (rows if last is None else last.facts.get("selected")), False
        return None, False

    def _calls(self, step: Planned, rows: int | None, exact: bool) -> Estimate:
        operator = step.step.operator
        recorded = {
            role: self._backends[m] for role, m in step.step.models_by_role.items() if self._backends[m].recorded
        }
        if step.step.rewards:
            return self._reward_calls(step.step, rows)
        if operator is None or not recorded:
            return Estimate(rows, 0, exact)
        if self._ledger is not None and self._is_readable(step):
            probe = Probe(self._spec, self._table(step), step, self._backends, self._ledger, self._beside(step))
            calls, all_tried = probe.run()
            return Estimate(rows, calls, all_tried)
        if rows is None:
            return Estimate(None, None, exact=False)
        last = last_manifest(self._store, self._spec.name, step.name)
        fresh = rows - _rows_answered(step, last)
        return Estimate(rows, max(fresh, 0) * _usual_calls(operator, step.step.params), exact=False)

    def _reward_calls(self, step: Step, prompts: int | None) -> Estimate:
        """The calls that a training's rewards take at most: an answer to each prompt in each epoch."""
        answers = 0 if prompts is None else _answers(step.params, prompts)
        calls = {
            reward.name: answers * _usual_calls(reward.operator, reward.params)
            for reward in step.rewards
            if reward.operator is not None and any(self._backends[model].recorded for model in reward.models)
        }
        unknown = prompts is None and calls
        return Estimate(prompts, None if unknown else sum(calls.values()), exact=not calls)

    def _is_readable(self, step: Planned) -> bool:
        needs = (self._planned[name] for name in step.needs)
        return all(need.status is Status.CACHED or need.step.verb is Verb.ROOTS for need in needs)

    def _table(self, step: Planned) -> pa.Table:
        """The columns that the step reads: of a built table, or of rows that need no building."""
        source = step.step.sources[0]
        if step.step.begins:
            return root_rows(self._planned[source].body)
        identities = {name: s.fingerprint for name, s in self._planned.items() if s.status is Status.CACHED}
        return Reader(self._store, relation_of(self._planned, identities, source)).table(inputs(step.columns.reads))

    def _beside(self, step: Planned) -> dict[str, SideTable]:
        identities = {name: s.fingerprint for name, s in self._planned.items() if s.status is Status.CACHED}
        relations = {side: relation_of(self._planned, identities, table) for side, table in step.step.sides.items()}
        return {
            side: Reader(self._store, relations[side]).whole(read.reads) for side, read in step.columns.sides.items()
        }


class Probe:
    """Runs a step's operator against the ledger and counts the calls that it would send."""

    def __init__(
        self, spec: Spec, table: pa.Table, step: Planned, backends: Mapping[str, Backend], ledger: Ledger,
        sides: Mapping[str, SideTable],
    ) -> None:  # fmt: skip
        self._step, self._seed, self._table, self._sides = step, step.step.seed(spec.seed), table, sides
        self._gates = {role: CountingGate(backends[m], ledger) for role, m in step.step.models_by_role.items()}
        self._asker = Asker(spec.name, step.name, "plan")

    def run(self) -> tuple[int, bool]:
        """The calls, and whether every row was tried (else the figure is scaled up from a sample)."""
        table, total = self._table, self._table.num_rows
        if total > PROBE_ROWS:
            table = table.take(np.linspace(0, total - 1, PROBE_ROWS).astype(np.int64))
        asyncio.run(self._try(renamed(table, self._step.columns.reads)))
        unanswered = sum(gate.unanswered for gate in self._gates.values())
        return round(unanswered * total / max(table.num_rows, 1)), total <= PROBE_ROWS

    async def _try(self, batch: pa.Table) -> None:
        operator, params = self._step.step.operator, self._step.step.params
        assert operator is not None
        if operator.by_row:
            tries = [operator.fn(row, params, self._context(row[ROW_ID])) for row in batch.to_pylist()]
        else:
            tries = [operator.fn(batch, params, self._context(None))]
        for outcome in await asyncio.gather(*tries, return_exceptions=True):
            if isinstance(outcome, BaseException) and not _expected(outcome):
                raise outcome

    def _context(self, row_id: str | None) -> StepContext:
        bound = {role: BoundModel(gate, self._asker, row_id) for role, gate in self._gates.items()}
        return StepContext(self._seed, bound, self._sides)


class Unanswered(SetwrightError):
    """The ledger has no answer, and a plan asks nobody."""


class CountingGate(Gate):
    """A gate that sends nothing: what the ledger can't answer is counted."""

    def __init__(self, backend: Backend, ledger: Ledger) -> None:
        super().__init__(backend, ledger)
        self._unanswered: set[bytes] = set()

    @property
    def unanswered(self) -> int:
        """Distinct calls that a build would send."""
        return len(self._unanswered)

    async def ask(self, request: Request, asker: Asker, row_id: str | None) -> tuple[bytes, Answer]:
        """See `Gate.ask`; raises `Unanswered` in the place of sending."""
        id_ = self.call_id(render(request))
        if not self.ledger.find((id_,)):
            self._unanswered.add(id_)
            raise Unanswered("not answered yet")
        return await super().ask(request, asker, row_id)

    async def embed(self, texts: Sequence[str], asker: Asker) -> np.ndarray:
        """See `Gate.embed`."""
        ids = {self.call_id(render(Embed(text))) for text in texts}
        missing = ids - self.ledger.find(ids).keys()
        if missing:
            self._unanswered |= missing
            raise Unanswered("not answered yet")
        return await super().embed(texts, asker)


def _usual_calls(operator: Operator, params: Any) -> int:
    return sum(asks.calls[1] for asks in operator.asks_of(params))


def _expected(outcome: BaseException) -> bool:
    if isinstance(outcome, BaseExceptionGroup):
        return all(_expected(e) for e in outcome.exceptions)
    return isinstance(outcome, SetwrightError)


def _answers(params: Any, prompts: int) -> int:
    """The answers that a trainer draws at most; a last step of an epoch may have fewer than `batch_size`."""
    answers = math.ceil(params.epochs * prompts)
    return answers if params.max_steps is None else int(min(answers, params.max_steps * params.batch_size))


def _rows_answered(step: Planned, last: Manifest | None) -> int:
    """Rows of the last build whose calls still count: all, if nothing but the rows has changed."""
    if last is None or {k: v for k, v in last.payload.items() if k != "inputs"} != dict(step.body):
        return 0
    return int(last.facts.get("rows_in", 0)) - int(last.facts.get("failed", 0))
