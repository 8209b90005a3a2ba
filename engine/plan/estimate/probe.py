"""The calls that rows at hand still need: the operator itself is run against the ledger, and nobody is asked.

What the ledger answers is answered; the first call of a row that it can't answer ends that row, so what the row would
ask afterwards is only bounded, by what its operator says of a row or by what such rows took before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from engine.bound import BoundModel
from engine.calls import Asker, Gate
from engine.context import StepContext
from engine.errors import SetwrightError
from engine.ledger import Ledger
from engine.model import Backend
from engine.needs import SideTable
from engine.plan.estimate.usage import Usage, usage_of
from engine.plan.steps import Planned
from engine.request import Answer, Embed, Request
from engine.schema import ROW_ID
from engine.wire import render


@dataclass
class Trial:
    """What became of one row, or of a batch: calls that were answered, calls that were not, and whether it ended."""

    answered: set[bytes] = field(default_factory=set)
    missing: set[bytes] = field(default_factory=set)
    ended: bool = False

    @property
    def made(self) -> int:
        """The calls that are known of it."""
        return len(self.answered) + len(self.missing)


@dataclass(frozen=True)
class Missing:
    """A call that the ledger can't answer: what it takes, and the characters of its request."""

    usage: Usage
    chars: int


@dataclass
class Tried:
    """All trials, and every missing call once."""

    rows: dict[str | None, Trial] = field(default_factory=dict)
    missing: dict[bytes, Missing] = field(default_factory=dict)

    def of(self, row_id: str | None) -> Trial:
        """The trial of a row; a batch has one for all of its rows."""
        return self.rows.setdefault(row_id, Trial())

    def open(self) -> list[Trial]:
        """The rows that did not end."""
        return [trial for trial in self.rows.values() if not trial.ended]

    def first_missing(self) -> np.ndarray:
        """Of each row the missing calls that no row before it had."""
        seen: set[bytes] = set()
        counts = []
        for trial in self.rows.values():
            counts.append(len(trial.missing - seen))
            seen |= trial.missing
        return np.array(counts, float)


def probe(
    step: Planned, table: pa.Table, sides: Mapping[str, SideTable], backends: Mapping[str, Backend], ledger: Ledger,
    spec: str, seed: int,
) -> Tried:  # fmt: skip
    """Try every row of a table."""
    tried = Tried()
    gates = {role: CountingGate(backends[m], ledger, tried) for role, m in step.step.models_by_role.items()}
    asker = Asker(spec, step.name, "plan")

    def context(row_id: str | None) -> StepContext:
        return StepContext(
            step.step.seed(seed), {role: BoundModel(gate, asker, row_id) for role, gate in gates.items()}, sides
        )

    asyncio.run(_try(step, table, tried, context))
    return tried


async def _try(
    step: Planned, batch: pa.Table, tried: Tried, context: Callable[[str | None], StepContext]
) -> None:  # fmt: skip
    operator, params = step.step.operator, step.step.params
    assert operator is not None
    if operator.by_row:
        ids = batch[ROW_ID].to_pylist()
        tries = [operator.fn(row, params, context(row[ROW_ID])) for row in batch.to_pylist()]
    else:
        ids, tries = [None], [operator.fn(batch, params, context(None))]
    for id_, outcome in zip(ids, await asyncio.gather(*tries, return_exceptions=True), strict=True):
        if isinstance(outcome, BaseException) and not _expected(outcome):
            raise outcome
        tried.of(id_).ended = not isinstance(outcome, BaseException) or not _unanswered(outcome)


class Unanswered(SetwrightError):
    """The ledger has no answer, and a plan asks nobody."""


class CountingGate(Gate):
    """A gate that sends nothing: what the ledger can't answer is noted."""

    def __init__(self, backend: Backend, ledger: Ledger, tried: Tried) -> None:
        super().__init__(backend, ledger)
        self._tried = tried

    async def ask(self, request: Request, asker: Asker, row_id: str | None) -> tuple[bytes, Answer]:
        """See `Gate.ask`; raises `Unanswered` in the place of sending."""
        rendered = render(request)
        id_ = self.call_id(rendered)
        if not self.ledger.find((id_,)):
            self._note(id_, request, len(rendered.decode()), row_id)
            raise Unanswered("not answered yet")
        self._tried.of(row_id).answered.add(id_)
        return await super().ask(request, asker, row_id)

    async def embed(self, texts: Sequence[str], asker: Asker) -> np.ndarray:
        """See `Gate.embed`."""
        if not self.backend.recorded:
            return await super().embed(texts, asker)
        asked = {self.call_id(render(Embed(text))): text for text in texts}
        missing = asked.keys() - self.ledger.find(asked).keys()
        for id_ in missing:
            self._note(id_, Embed(asked[id_]), len(asked[id_]), None)
        if missing:
            raise Unanswered("not answered yet")
        return await super().embed(texts, asker)

    def _note(self, id_: bytes, request: Request, chars: int, row_id: str | None) -> None:
        self._tried.of(row_id).missing.add(id_)
        if id_ not in self._tried.missing:
            self._tried.missing[id_] = Missing(usage_of(request), chars)


def _expected(outcome: BaseException) -> bool:
    if isinstance(outcome, BaseExceptionGroup):
        return all(_expected(e) for e in outcome.exceptions)
    return isinstance(outcome, SetwrightError)


def _unanswered(outcome: BaseException) -> bool:
    if isinstance(outcome, BaseExceptionGroup):
        return any(_unanswered(e) for e in outcome.exceptions)
    return isinstance(outcome, Unanswered)
